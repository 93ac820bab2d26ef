"""Copies of model files onto other disks: resumed by comparison, synced, read back, then renamed.

A copy is written to `NAME.partial`. A later run compares what is there with the source, block by block, and writes only
blocks that differ: whatever a kill or an unplugged disk left is found, without a journal.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import ModelFileError, StoreBusy, StoreError
from ...files.atomic import SCRATCH_SUFFIX, sync_folder
from ...files.disk_space import allocated
from ...files.locking import locked_alone
from ...files.positioned import PositionedFile
from ...files.sizes import readable
from ...hints import Hint, Option

_BLOCK = 4 << 20  # bytes
_SYNCED_BLOCKS = 8  # so that the progress tells of bytes on the disk, not in memory
_MARGIN = 64 << 10  # bytes a file: the largest clusters of FAT32
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_GONE = {errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.ENOTCONN, errno.ESTALE}
LOCK_SUFFIX = ".lock"
_AGAIN = "then run the same command again: it resumes"

Progress = Callable[[str, int, int], None]  # what is done ("copying", "checking"), bytes done, bytes in all


@dataclass(frozen=True)
class Extent:
    """Extent of a file: `size` bytes from `offset` on."""

    path: Path
    offset: int
    size: int


@dataclass(frozen=True)
class Content:
    """Content of a file to be written: bytes and extents of other files, in order."""

    spans: tuple[bytes | Extent, ...]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(len(span) if isinstance(span, bytes) else span.size for span in self.spans)

    def blocks(self) -> Iterator[memoryview]:
        """Blocks of 4 MiB (the last one shorter), in a buffer that is used again. Raises ModelFileError."""
        buffer = memoryview(bytearray(_BLOCK))
        filled = 0
        for span in self.spans:
            for piece in (span,) if isinstance(span, bytes) else _read(span):
                rest = memoryview(piece)
                while rest:
                    count = min(len(rest), _BLOCK - filled)
                    buffer[filled : filled + count] = rest[:count]
                    rest, filled = rest[count:], filled + count
                    if filled == _BLOCK:
                        yield buffer
                        filled = 0
        if filled:
            yield buffer[:filled]


def whole_file(path: Path) -> Content:
    """Content of a whole file. Raises ModelFileError."""
    with _reading(path):
        return Content((Extent(path, 0, path.stat().st_size),))


def copy(content: Content, path: Path, *, expected: str | None = None, progress: Progress | None = None) -> str:
    """Write `content` to `path` and read it back from the disk: its sha256.

    Only a complete and checked file gets the name `path`. An exception of `progress` ends the copy; the partial stays.
    Raises StoreError (StoreBusy while another process writes this file) and ModelFileError for a damaged source.
    """
    told = progress or _untold
    partial = partial_of(path)
    lock_file = path.with_name(path.name + LOCK_SUFFIX)
    with translated(path):
        for link in filter(Path.is_symlink, (partial, lock_file)):
            link.unlink()  # never write to what a link on a stick leads to
    with translated(path), lock_file.open("ab") as lock:
        if not locked_alone(lock):
            raise StoreBusy(f"another program is writing {path}", "wait for it, or end it")
        partial.touch()
        with PositionedFile(partial, "r+") as file:
            digest = _write(content, file, told)
            if expected and expected != digest:
                file.truncate(0)
                raise _damaged(_name_of(content, path), digest, expected)
            if (found := _digest_on_disk(file, told)) != digest:
                file.truncate(0)
                problem = f"{path} reads back with other bytes than were written ({found[:12]}…, not {digest[:12]}…)"
                raise StoreError(problem, "the disk or its plug is failing: use another one")
    with translated(path):
        partial.replace(path)
        lock_file.unlink(missing_ok=True)
        sync_folder(path.parent)
    return digest


def partial_of(path: Path) -> Path:
    """Path of an unfinished copy."""
    return path.with_name(path.name + SCRATCH_SUFFIX)


def compare(content: Content, path: Path, progress: Progress | None = None) -> str | None:
    """sha256 of `content` if the file `path` has the same bytes on its disk, else None. Raises ModelFileError."""
    told, done, digest = progress or _untold, 0, hashlib.sha256()
    with _reading(path), PositionedFile(path, "r") as file:
        file.forget()
        if file.status().st_size != content.size:
            return None
        old = memoryview(bytearray(_BLOCK))
        for block in content.blocks():
            if old[: file.read_into(done, old[: len(block)])] != block:
                return None
            digest.update(block)
            done += len(block)
            told("checking", done, content.size)
    return digest.hexdigest()


def read_back(path: Path, progress: Progress | None = None) -> str:
    """sha256 of a file as its disk has it, not as memory caches it. Raises ModelFileError."""
    with _reading(path), PositionedFile(path, "r") as file:
        return _digest_on_disk(file, progress or _untold)


def check_source(path: Path, expected: str, progress: Progress | None = None) -> None:
    """Read a file from its disk. Raises ModelFileError if its sha256 is another than `expected`."""
    if (found := read_back(path, progress)) != expected:
        raise _damaged(path, found, expected)


def check_space(folder: Path, files: dict[Path, int]) -> None:
    """Raise StoreError if the disk of `folder` lacks space for `files` (their bytes), less what they take already."""
    sizes = {path: size for path, size in files.items() if not path.exists() or path.stat().st_size != size}
    written = allocated(partial_of(path) for path in sizes)
    needed = sum(sizes.values()) + _MARGIN * len(sizes) - written
    with translated(folder):
        disk = shutil.disk_usage(folder)
    if sizes and disk.total and disk.free < needed:  # some file systems in user space tell no sizes
        problem = f"{readable(needed)} more are needed, and {folder} has {readable(disk.free)} free"
        raise StoreError(problem, f"free {readable(needed - disk.free)} there, {_AGAIN}")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn OSError during the writing of `path` into StoreError that says how to continue."""
    try:
        yield
    except OSError as error:
        raise _store_error(path, error) from error


def _store_error(path: Path, error: OSError) -> StoreError:
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return StoreError(f"the disk of {path.parent} is full, at {path.name}", f"free space there, {_AGAIN}")
    if error.errno == errno.EFBIG:
        hint = Hint("write smaller parts: {split}", split=Option("split", "2G"))
        return StoreError(f"{path.name} is too large a file for the disk of {path.parent}", hint)
    if error.errno == errno.EROFS:
        return StoreError(f"the disk of {path} is write-protected", f"unlock it, or take another, {_AGAIN}")
    if error.errno in _GONE:
        return StoreError(f"the disk of {path} does not answer: {reason}", f"plug it in again, {_AGAIN}")
    return StoreError(f"cannot write {path}: {reason}", f"check the disk and its permissions, {_AGAIN}")


def _damaged(path: Path, found: str, expected: str) -> ModelFileError:
    problem = f"is damaged: its sha256 is {found[:12]}…, not {expected[:12]}… as listed"
    return ModelFileError(path, problem, "copy it again from where it came")


def _untold(_doing: str, _done: int, _total: int) -> None:
    pass


def _write(content: Content, file: PositionedFile, progress: Progress) -> str:
    """Write the blocks that are not there yet: the sha256 of all."""
    digest, size, done = hashlib.sha256(), content.size, 0
    old = memoryview(bytearray(_BLOCK))
    progress("copying", 0, size)
    for number, block in enumerate(content.blocks(), 1):
        digest.update(block)
        there = file.read_into(done, old[: len(block)])
        if old[:there] != block:
            file.write(done, block)
        done += len(block)
        if number % _SYNCED_BLOCKS == 0:
            file.sync()
        progress("copying", done, size)
    if file.status().st_size > size:
        file.truncate(size)
    file.sync()
    return digest.hexdigest()


def _digest_on_disk(file: PositionedFile, progress: Progress) -> str:
    """sha256 of an open, synced file, whose cached pages are dropped first. Raises OSError."""
    file.forget()
    digest, block = hashlib.sha256(), memoryview(bytearray(_BLOCK))
    done, size = 0, file.status().st_size
    while count := file.read_into(done, block):
        digest.update(block[:count])
        done += count
        progress("checking", done, size)
    return digest.hexdigest()


def _read(extent: Extent) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(_BLOCK))
    with _reading(extent.path), extent.path.open("rb", buffering=0) as file:
        file.seek(extent.offset)
        left = extent.size
        while left:
            count = file.readinto(buffer[: min(left, _BLOCK)])
            if not count:
                raise ModelFileError(extent.path, "has become shorter while it was read", "copy it again when whole")
            left -= count
            yield buffer[:count]


def _name_of(content: Content, path: Path) -> Path:
    return next((span.path for span in content.spans if isinstance(span, Extent)), path)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise ModelFileError(path, problem, f"check the disk, or plug it in again, {_AGAIN}") from error
