"""Models that can be imported: what a file or a folder holds, with the hashes and facts that lie beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import ModelFileError, StoreError
from ...files.companions import is_companion_gguf
from ...files.hashes import read_sums
from ...files.portable_names import portable_name
from ...gguf_file import split_name
from ...hints import Command, Hint
from .carried import one_line, read_facts

PROJECTORS = ("clip", "mmproj")  # architectures of files that go with a model, and are none
_SUMS_FILES = ("SHA256SUMS", "sha256sums.txt")
_LEVELS_ABOVE = 3  # folders in which a list of hashes is looked for


@dataclass(frozen=True)
class Candidate:
    """Model that can be imported: its (first) file, its name here, and the known sha256 of its files by name."""

    path: Path
    name: str
    hashes: Mapping[str, str]
    license: str = ""
    origin: str = ""


def candidates_in(path: Path) -> Iterator[Candidate]:
    """Models in a file or folder. Raises StoreError if there is none, and ModelFileError for a file that is no GGUF."""
    if path.is_dir():
        files = list(model_files(path))
        if not files:
            raise StoreError(f"{path} holds no GGUF", _hint_for_folder(path))
        yield from map(candidate_of, files)
    else:
        yield candidate_of(_first_part(path))


def model_files(folder: Path) -> Iterator[Path]:
    """GGUF files below `folder`, of a split model the first part, in the order of their names; no projection files."""
    for path in sorted(folder.rglob("*")):
        if any(name.startswith((".", "$")) for name in path.relative_to(folder).parts):
            continue  # macOS's companions of files on a stick, and bins of all systems
        part = split_name(path)
        is_model = path.suffix.lower() == ".gguf" and not is_companion_gguf(path.name)
        if is_model and (part is None or part.number == 1) and path.is_file():
            yield path


def candidate_of(path: Path, name: str = "", hashes: Mapping[str, str] | None = None, origin: str = "") -> Candidate:
    """Model of this (first) file, with what lies beside it: hashes, and the facts of an export."""
    facts = read_facts(path.parent)
    part = split_name(path)
    own = part.model if part else path.stem
    stated = facts.get("name") if isinstance(facts.get("name"), str) else None
    known = hashes if hashes is not None else _listed(path)
    license_line = facts.get("license")
    return Candidate(
        path,
        name or portable_name(stated or own),
        known,
        one_line(license_line) if isinstance(license_line, str) else "",
        origin or f"import:{path.absolute()}",
    )


def _first_part(path: Path) -> Path:
    part = split_name(path)
    if not path.exists():
        raise ModelFileError(path, "no such file", "check the path; is the disk plugged in?")
    if path.name.endswith(".partial"):
        raise ModelFileError(
            path, "is an unfinished copy or download", "finish it first, with the command that began it"
        )
    if path.suffix == ".safetensors":
        hint = Hint("make a GGUF of the checkpoint: {convert}", convert=Command("convert", (str(path.parent),)))
        raise ModelFileError(path, "is a part of a checkpoint, and no GGUF", hint)
    return path.with_name(part.part(1)) if part else path


def _hint_for_folder(folder: Path) -> Hint:
    if any(folder.glob("*.safetensors")):
        return Hint("it has a checkpoint; make a GGUF of it: {convert}", convert=Command("convert", (str(folder),)))
    return Hint("name the folder or the file of a model")


def _listed(path: Path) -> dict[str, str]:
    """{file name: sha256} of the files in the folder of `path`, by a list there or in a folder above, or a sidecar."""
    found: dict[str, str] = {}
    for folder in (path.parent, *path.absolute().parent.parents[:_LEVELS_ABOVE]):
        for name in (*_SUMS_FILES, f"{path.name}.sha256"):
            with contextlib.suppress(OSError):
                for listed, digest in read_sums(folder / name).items():
                    file = folder / listed
                    if file.parent.absolute() == path.parent.absolute():
                        found.setdefault(file.name, digest)
    return found
