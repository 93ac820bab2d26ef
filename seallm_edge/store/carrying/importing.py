"""Import of models: a GGUF, a split set, an export's folder, or a folder with many; copied, moved or linked in place.

Every byte is read once and hashed; hashes that lie beside the files are compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from ... import paths
from ...errors import InvalidOption, ModelFileError, SeaLLMError
from ...files.file_system import existing_parent
from ...files.small_files import read_small_file
from ...gguf_file import Header, fingerprint, read_header
from ...hints import Hint, Option
from .. import index
from ..adding import add, find_content, record_in_place
from ..installed import Installed
from .candidates import PROJECTORS, Candidate, candidates_in
from .carried import LICENSE_FILE, carried_models
from .copying import Progress, check_space, copy, read_back, translated, whole_file

if TYPE_CHECKING:
    from .discovery import Found


class How(StrEnum):
    """Way of an import: a copy; a move, which leaves nothing behind; or a link to the files where they are."""

    COPY = "copy"
    MOVE = "move"
    LINK = "link"


@dataclass(frozen=True)
class Imported:
    """Imported model: the installed one, and how it came; `how` is None for one that was here already."""

    model: Installed
    how: How | None


Tell = Callable[[Imported | SeaLLMError], None]


def import_model(
    path: str | Path,
    how: How | str | None = None,
    *,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> list[Imported]:
    """Import the model or models at `path`: a file, or a folder with any number of them.

    `how` is "copy", "move" or "link"; None copies from another disk, and links on the disk of the models folder.
    Content that is here already is not kept twice. `progress` gets what is done ("copying", "checking"), and bytes; an
    exception of it ends the import, which the same call resumes. In a folder, models that cannot be imported are left
    out, and `tell` gets each result or error as it comes. Raises ModelFileError, StoreError and InvalidOption if
    nothing could be imported.
    """
    path = Path(path).expanduser()
    chosen = _way(how)
    ways = [(candidate, chosen or default_way(candidate.path)) for candidate in candidates_in(path)]
    return _import_each(ways, progress, tell or _untold)


def import_found(
    models: Iterable[Found],
    how: How | str | None = None,
    *,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> list[Imported]:
    """Import models that `discover` found in other programs: linked, or copied. Otherwise as `import_model` does it."""
    way = way_of_found(how)
    return _import_each([(one.candidate, way) for one in models], progress, tell or _untold)


def way_of_found(how: How | str | None) -> How:
    """Way of an import from another program; None links. Raises InvalidOption for a move: the files are not ours."""
    way = _way(how) or How.LINK
    if way is How.MOVE:
        problem = "the files of other programs are not moved: those programs would miss them"
        raise InvalidOption(problem, Hint("{copy} or {link}", copy=Option("copy", True), link=Option("link", True)))
    return way


def default_way(path: Path) -> How:
    """Way of an import that nobody chose: a link on the disk of the models folder, a copy from any other."""
    try:
        is_same = path.stat().st_dev == existing_parent(paths.models_dir()).stat().st_dev
        return How.LINK if is_same else How.COPY
    except OSError:
        return How.COPY


def _import_each(ways: Sequence[tuple[Candidate, How]], progress: Progress | None, tell: Tell) -> list[Imported]:
    """Import each model. Those that cannot be are left out; raises the first error if nothing could be imported."""
    found, problems = [], []
    for candidate, way in ways:
        try:
            imported = import_candidate(candidate, way, progress)
        except SeaLLMError as error:
            if len(ways) == 1:
                raise
            problems.append(error)
            tell(error)
            continue
        found.append(imported)
        tell(imported)
    if problems and not found:
        raise problems[0]
    return found


def import_candidate(candidate: Candidate, how: How, progress: Progress | None = None) -> Imported:
    """Import one model. Raises ModelFileError, StoreError."""
    header = _checked_header(candidate.path)
    index.check_writable()  # before minutes of reading
    existing = _already_here(candidate, header, progress)
    if existing and (how is How.LINK or not (existing.entry and existing.entry.is_linked)):
        return Imported(existing, None)
    (model,) = carried_models([candidate.path])
    license_line = candidate.license or model.license.line
    if how is How.LINK:
        return Imported(_link(candidate, header, license_line, progress), how)
    bring = _copied if how is How.COPY or default_way(candidate.path) is How.COPY else _moved
    files, hashes = bring(candidate, header, progress)
    text = b""
    with contextlib.suppress(OSError):
        text = read_small_file(candidate.path.with_name(LICENSE_FILE))
    installed = add(files, origin=candidate.origin, license=license_line, sha256s=hashes)
    _keep_license(installed, text)
    with contextlib.suppress(OSError):
        files[0].parent.rmdir()
    if how is How.MOVE:
        _remove_sources(header)
    return Imported(installed, how)


def _way(how: How | str | None) -> How | None:
    if how is None:
        return None
    try:
        return How(how)
    except ValueError:
        raise InvalidOption(f"{how!r} is no way to import", f"give one of: {', '.join(How)}") from None


def _checked_header(path: Path) -> Header:
    """Header of a model that this program can run. Raises ModelFileError."""
    header = read_header(path)
    if header.architecture in PROJECTORS:
        raise ModelFileError(
            path, "is a projection file, which goes with a model, and no model", "name the model's own file"
        )
    return header


def _already_here(candidate: Candidate, header: Header, progress: Progress | None) -> Installed | None:
    """Installed model with the same content: by the known hash, else by header and size, and then by its hash."""
    if digest := candidate.hashes.get(header.path.name):
        return find_content(digest)
    own, sizes = fingerprint(header), header.sizes
    like = [
        entry
        for entry in index.entries()
        if entry.fingerprint == own and tuple(file.size for file in entry.files) == sizes and entry.is_here
    ]
    if not any(entry.sha256 for entry in like):
        return None
    return find_content(read_back(header.path, progress))


def _copied(candidate: Candidate, header: Header, progress: Progress | None) -> tuple[list[Path], dict[str, str]]:
    """Copies of a model's files beside the store, and their hashes by name."""
    targets = _targets(candidate, header)
    check_space(targets[0].parent, dict(zip(targets, header.sizes, strict=True)))
    hashes = {}
    for source, target in zip(header.parts, targets, strict=True):
        expected = candidate.hashes.get(source.name)
        hashes[target.name] = copy(whole_file(source), target, expected=expected, progress=progress)
    return targets, hashes


def _moved(candidate: Candidate, header: Header, progress: Progress | None) -> tuple[list[Path], dict[str, str]]:
    """Other names of a model's files, hashed, beside the store on the same disk: a kill leaves the sources whole."""
    digests = _hashed(candidate, header, progress)
    targets = _targets(candidate, header)
    for source, target in zip(header.parts, targets, strict=True):
        target.unlink(missing_ok=True)
        try:
            os.link(source.resolve(), target)
        except OSError:  # a file system without hard links
            return _copied(candidate, header, progress)
    return targets, {target.name: digests[source.name] for source, target in zip(header.parts, targets, strict=True)}


def _hashed(candidate: Candidate, header: Header, progress: Progress | None) -> dict[str, str]:
    """sha256 of each file by name. Raises ModelFileError if one is another than the list says."""
    found = {part.name: read_back(part, progress) for part in header.parts}
    for part in header.parts:
        if candidate.hashes.get(part.name, found[part.name]) != found[part.name]:
            raise _damaged(part, candidate.hashes[part.name], found[part.name])
    return found


def _targets(candidate: Candidate, header: Header) -> list[Path]:
    """Paths of the files beside the store: the same ones for the same model, so that a copy resumes."""
    key = hashlib.sha256("\0".join([candidate.name, fingerprint(header), *map(str, header.sizes)]).encode())
    folder = paths.incoming_dir() / f"import-{key.hexdigest()[:12]}"
    with translated(folder):
        folder.mkdir(parents=True, exist_ok=True)
    count = len(header.parts)
    endings = [".gguf"] if count == 1 else [f"-{n:05}-of-{count:05}.gguf" for n in range(1, count + 1)]
    return [folder / f"{candidate.name}{ending}" for ending in endings]


def _link(candidate: Candidate, header: Header, license_line: str, progress: Progress | None) -> Installed:
    """Link to a model where it is: its record, and a symbolic link for a file whose name says nothing."""
    hashes = _hashed(candidate, header, progress)
    if (existing := find_content(hashes[header.path.name])) is not None:
        return existing
    path = candidate.path.absolute()
    if path.suffix.lower() != ".gguf":
        digest = hashes[header.path.name]
        path = _named_link(path, paths.models_dir() / index.LINKED / digest[:12] / f"{candidate.name}.gguf")
        hashes = {path.name: digest}
    return record_in_place(path, origin=candidate.origin, sha256s=hashes, license=license_line)


def _named_link(path: Path, link: Path) -> Path:
    with translated(link):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        try:
            link.symlink_to(path)
        except OSError:  # Windows without the privilege
            os.link(path, link)
    return link


def _remove_sources(header: Header) -> None:
    for part in header.parts:
        with translated(part):
            part.unlink(missing_ok=True)


def _keep_license(model: Installed, text: bytes) -> None:
    """Keep the licence's text beside a model in the store."""
    path = model.path.with_name(LICENSE_FILE)
    if text and paths.models_dir() in path.parents and path.parent != paths.models_dir():
        with translated(path):
            path.write_bytes(text)


def _damaged(path: Path, listed: str, found: str) -> ModelFileError:
    problem = f"is damaged: its sha256 is {found[:12]}…, and the list beside it says {listed[:12]}…"
    return ModelFileError(path, problem, "copy it again from where it came")


def _untold(_result: Imported | SeaLLMError) -> None:
    pass
