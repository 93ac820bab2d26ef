"""Files of the home that no model needs: unfinished downloads and conversions, orphans, KV states of conversations."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from .. import paths
from ..errors import StoreError
from ..files.companions import REPORT_SUFFIX, SIDECAR_SUFFIX
from ..files.disk_space import allocated
from ..files.locking import locked_alone
from . import index
from .index import Entry
from .installed import missing

_LOCKED = (".journal", ".lock")
_UNFINISHED = (".partial", ".journal", ".progress", ".lock")
_ENDING = re.compile(r"(\.[0-9a-f]{8})?\.partial$|\.(journal|progress|lock)$")


class Kind(StrEnum):
    """Kinds of garbage."""

    PARTIALS = "partials"
    ORPHANS = "orphans"
    SNAPSHOTS = "snapshots"


@dataclass(frozen=True)
class Garbage:
    """Garbage of a kind: what it is in words, its files and their bytes, or the record of files that are missing."""

    kind: Kind
    what: str
    files: tuple[Path, ...]
    size: int
    modified: float
    entry: Entry | None = None


def find_garbage(kinds: Iterable[Kind] = tuple(Kind)) -> list[Garbage]:
    """Garbage of these kinds; what another process is writing now is none."""
    finders = {Kind.PARTIALS: _partials, Kind.ORPHANS: _orphans, Kind.SNAPSHOTS: _snapshots}
    return [found for kind in kinds for found in finders[kind]()]


def remove_garbage(found: Iterable[Garbage]) -> int:
    """Remove garbage, but what another process has begun to write since: bytes freed. Raises StoreError."""
    return sum(one.size for one in found if _remove(one))


def _remove(one: Garbage) -> bool:
    """Whether it was removed. Its locks are held meanwhile."""
    locks = [file for file in one.files if file.suffix in _LOCKED]
    try:
        with contextlib.ExitStack() as stack:
            if not all(_hold(lock, stack) for lock in locks):
                return False
            for file in (file for file in one.files if file not in locks):
                shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
        for lock in locks:  # Windows removes no open file
            lock.unlink(missing_ok=True)
    except OSError as error:
        problem = f"{error.filename} cannot be removed: {error.strerror}"
        raise StoreError(problem, "end the programs that use it, and check its folder's permissions") from error
    if one.entry:
        index.discard(one.entry)
    return True


def _hold(path: Path, stack: contextlib.ExitStack) -> bool:
    """Whether this process holds the lock now, or the file is gone."""
    with contextlib.suppress(FileNotFoundError):
        return locked_alone(stack.enter_context(path.open("r+b", buffering=0)))
    return True


def _partials() -> Iterator[Garbage]:
    """What an interrupted download or conversion left: all files of one name together."""
    groups: dict[Path, list[Path]] = {}
    for path in _files_below(paths.models_dir()):
        is_unfinished = path.suffix in _UNFINISHED and path.name not in _UNFINISHED
        if is_unfinished or paths.incoming_dir() in path.parents:  # those are finished, and not added to the store
            groups.setdefault(_group_of(path), []).append(path)
    for name, files in sorted(groups.items()):
        if not any(map(_is_locked, files)):
            yield _garbage(Kind.PARTIALS, f"unfinished: {name.name}", files)


def _group_of(path: Path) -> Path:
    """Path that the files of one download or conversion share. A pull has a folder, with its lock beside it."""
    incoming = paths.incoming_dir()
    if incoming in path.parents and path.parent != incoming:
        return incoming / path.relative_to(incoming).parts[0]
    return path.with_name(_ENDING.sub("", path.name))


def _orphans() -> Iterator[Garbage]:
    """Records of missing files in the models folder, empty folders there, and files beside a model that is gone."""
    for entry in missing():
        if not entry.is_linked:  # a linked file may be on a disk that is not mounted now
            others = [file.place for file in entry.files[1:] if file.place.exists()]  # parts without the first one
            yield _garbage(Kind.ORPHANS, f"record of a missing file: {entry.path.name}", others, entry)
    models = paths.models_dir()
    for path in _files_below(models):
        if path.name.endswith((SIDECAR_SUFFIX, REPORT_SUFFIX)) and not _model_of(path):
            yield _garbage(Kind.ORPHANS, f"beside a model that is gone: {path.name}", [path])
    if models.is_dir():
        for folder in models.iterdir():
            is_ours = folder.is_dir() and not folder.is_symlink() and folder != paths.incoming_dir()
            if is_ours and not any(folder.iterdir()):
                yield _garbage(Kind.ORPHANS, f"empty folder: {folder.name}", [folder])


def _snapshots() -> Iterator[Garbage]:
    files = [path for path in _files_below(paths.snapshots_dir()) if path.name.endswith((".kv", ".partial"))]
    if files:
        what = f"KV states of conversations ({len(files)}), which are computed again when needed"
        yield _garbage(Kind.SNAPSHOTS, what, files)


def _model_of(path: Path) -> bool:
    """Whether the model that a companion file belongs to is there."""
    stem = path.name.removesuffix(SIDECAR_SUFFIX).removesuffix(REPORT_SUFFIX).removesuffix(".gguf")
    return any(other.suffix == ".gguf" and other.name.startswith(stem) for other in path.parent.iterdir())


def _garbage(kind: Kind, what: str, files: list[Path], entry: Entry | None = None) -> Garbage:
    modified = 0.0
    for file in files:
        with contextlib.suppress(OSError):
            modified = max(modified, file.stat().st_mtime)
    size = allocated(file for file in files if file.is_file())
    return Garbage(kind, what, tuple(files), size, modified, entry)


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def _is_locked(path: Path) -> bool:
    """Whether another process holds the lock of a journal, or of a lock file."""
    if path.suffix not in _LOCKED:
        return False
    try:
        with path.open("r+b", buffering=0) as file:
            return not locked_alone(file)
    except OSError:
        return False
