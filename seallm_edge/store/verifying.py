"""Verification of installed models against the sha256 in the index, and an index made again from the files."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import paths
from ..errors import ModelFileError, SeaLLMError
from ..files.hashes import sha256_of
from ..gguf_file import read_header
from ..hints import Command, Hint, Option
from . import index
from .index import Entry, described, stored_file
from .installed import Installed, installed

Progress = Callable[[int, int], None]  # bytes read, and in all


@dataclass(frozen=True)
class Verified:
    """Result of a verification: sha256 by file name, and whether they were known before, and so compared."""

    model: Installed
    sha256s: dict[str, str]
    was_known: bool


def verify_installed(model: Installed, progress: Progress | None = None) -> Verified:
    """Read all bytes of an installed model, compare their sha256 with the index, and record the time.

    Where the index has none, they are learnt: a later change is an error. Raises ModelFileError, StoreError.
    """
    header = read_header(model.path)
    return record_verified(model, _hashes(header.parts, header.file_size, progress or _ignore))


def record_verified(model: Installed, found: Mapping[str, str]) -> Verified:
    """Compare the sha256 `found` in a model's files, by name, with the index, and record them and the time.

    Raises ModelFileError, StoreError.
    """
    header = read_header(model.path)
    known = _check_pinned(model, header.parts, found)
    old, now = model.entry, time.time()
    facts = _kept_facts(old) if old else {"added": now}
    files = tuple(stored_file(part, found[part.name]) for part in header.parts)
    index.put(described(header, files, **facts, verified=now))
    return Verified(model, dict(found), any(known.values()))


def _check_pinned(model: Installed, parts: Sequence[Path], found: Mapping[str, str]) -> dict[str, str | None]:
    """The sha256 that were known by file name. Raises ModelFileError for a file that has another one now."""
    known = _pinned(model)
    for part in parts:
        if (pinned := known.get(part.name)) and pinned != found[part.name]:
            problem = f"its sha256 is {found[part.name][:12]}…, and it was added with {pinned[:12]}…"
            raise ModelFileError(part, problem, _changed_hint(model))
    _check_folder(parts[0], found[parts[0].name])
    return known


def _changed_hint(model: Installed) -> Hint:
    if model.entry and not model.entry.origin:
        again = Command("verify", (), (Option("rebuild", True),))
        return Hint("if you have replaced it, record it again: {again}; else it is damaged", again=again)
    return Hint("the file is damaged: remove it, and get it again: {rm}", rm=Command("rm", (model.name,)))


def _pinned(model: Installed) -> dict[str, str | None]:
    """sha256 by file name: those in the index, else the one that the card gives for its package's file."""
    if model.entry and model.entry.sha256:
        return {file.place.name: file.sha256 for file in model.entry.files}
    published = model.card.file_sha256.get(model.type_name) if model.card else None
    return {model.path.name: published} if published and model.package else {}


def rebuild(progress: Callable[[Installed, int, int], None] | None = None) -> tuple[list[Installed], list[SeaLLMError]]:
    """Make the index again from the files: (models recorded, errors of the files that are damaged or no models).

    All bytes are read, since a sha256 is known from nothing else. The records of damaged files, of linked models, and
    of models that were added meanwhile stay as they are. Raises StoreError.
    """
    recorded: list[Installed] = []
    errors: list[SeaLLMError] = []
    fresh: list[Entry] = []
    for model in installed():
        if model.package or (model.entry and model.entry.is_linked):
            continue
        try:
            fresh.append(_from_file(model, progress))
            recorded.append(model)
        except SeaLLMError as error:
            errors.append(error)
    with index.changed() as known:
        for path, entry in list(known.items()):
            if entry.is_gone and not entry.is_linked:
                del known[path]
        known.update({entry.files[0].path: entry for entry in fresh})
    return recorded, errors


def _from_file(model: Installed, progress: Callable[[Installed, int, int], None] | None) -> Entry:
    """Record of a model by its files; where it came from is kept. Raises ModelFileError for a damaged one."""
    header = read_header(model.path)
    hashes = _hashes(header.parts, header.file_size, functools.partial(progress, model) if progress else _ignore)
    old = model.entry
    if old and old.origin:
        _check_pinned(model, header.parts, hashes)
    else:  # the user may have replaced it
        _check_folder(model.path, hashes[header.parts[0].name])
    files = tuple(stored_file(part, hashes[part.name]) for part in header.parts)
    when = min(file.mtime_ns for file in files) / 1e9
    facts = _kept_facts(old) if old else {"added": when}
    return described(header, files, **facts, verified=time.time())


def _kept_facts(entry: Entry) -> dict[str, Any]:
    """What is known of a model from elsewhere than its files."""
    return {name: getattr(entry, name) for name in ("origin", "license", "sources", "added")}


def _check_folder(path: Path, sha256: str) -> None:
    """Raise ModelFileError if a model's folder in the store is named after another content."""
    folder = path.parent
    if folder.parent == paths.models_dir() and _is_digits(folder.name) and not sha256.startswith(folder.name):
        problem = f"its sha256 is {sha256[:12]}…, and its folder is named after another"
        raise ModelFileError(path, problem, "the file is damaged: remove it, and get it again")


def _is_digits(name: str) -> bool:
    return len(name) == 12 and set(name) <= set("0123456789abcdef")


def _hashes(parts: tuple[Path, ...], total: int, progress: Progress) -> dict[str, str]:
    """{file name: sha256} of a model's files. Raises ModelFileError."""
    done = 0

    def on_bytes(n: int) -> None:
        nonlocal done
        done += n
        progress(done, total)

    return {part.name: sha256_of(part, on_bytes) for part in parts}


def _ignore(done: int, total: int) -> None:
    """Progress that nobody watches."""
