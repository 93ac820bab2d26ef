"""The output file: checked for room beforehand, written beside its final name, renamed only when whole."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from seallm_edge.errors import ConversionError, OutputExists

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}


def check_output(out: Path, force: bool) -> None:
    """Raise OutputExists or ConversionError where `out` cannot be written. With `force` only a GGUF is replaced."""
    if out.is_dir():
        raise ConversionError(f"{out} is a folder", "give the name of a file with -o")
    if not out.parent.is_dir():
        raise ConversionError(f"no such folder: {out.parent}", "make it, or give another with -o")
    if not os.access(out.parent, os.W_OK):
        raise _not_writable(out.parent)
    if not out.exists():
        return
    if not force:
        raise OutputExists(out)
    with translated_errors(out, 0), out.open("rb") as file:
        if file.read(4) not in (b"GGUF", b""):
            raise ConversionError(f"{out} is no GGUF, so it is not replaced", "give another name with -o")


@contextlib.contextmanager
def written_beside(out: Path, size: int) -> Iterator[Path]:
    """The path of `OUT.partial`, `size` bytes long, to be filled in.

    When the block ends it is synced and renamed to `out`; when it fails or is interrupted it is removed. Raises
    ConversionError if the disk has no room, the folder refuses, or another conversion writes the same file.
    """
    partial = out.with_name(out.name + ".partial")
    with translated_errors(out, size), contextlib.ExitStack() as stack:
        file = stack.enter_context(partial.open("ab"))
        _lock(file.fileno(), partial)
        stack.callback(partial.unlink, missing_ok=True)
        # Closed before it is removed: Windows does not remove an open file.
        stack.callback(file.close)
        file.truncate(0)
        _check_room(out, size)
        file.truncate(size)
        yield partial
        os.fsync(file.fileno())
        if os.name == "nt":  # nor does it rename one; elsewhere the lock is held until the name is final
            file.close()
        partial.replace(out)
        _sync_folder(out.parent)


@contextlib.contextmanager
def translated_errors(out: Path, size: int) -> Iterator[None]:
    """Turn the system's refusals to write `size` bytes at `out` into ConversionError."""
    try:
        yield
    except PermissionError as error:
        raise _not_writable(out.parent) from error
    except OSError as error:
        if error.errno in _NO_SPACE:
            free = shutil.disk_usage(out.parent).free
            raise _no_room(out, size, free) from error
        raise ConversionError(f"cannot write {out}: {error.strerror or error}", "give another place with -o") from error


def _check_room(out: Path, size: int) -> None:
    free = shutil.disk_usage(out.parent).free
    if free < size:
        raise _no_room(out, size, free)


def _no_room(out: Path, size: int, free: int) -> ConversionError:
    problem = f"{out.name} takes {readable(size)} but {out.parent} has {readable(free)} free"
    missing = readable(max(size - free, 0))
    return ConversionError(problem, f"free {missing}, give another disk with -o, or choose a smaller --type")


def readable(n_bytes: int) -> str:
    """A size in the unit that suits it, such as "4.68 GB"."""
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e8 else f"{n_bytes / 1e6:.2f} MB"


def _not_writable(folder: Path) -> ConversionError:
    return ConversionError(f"the folder {folder} is not writable", "give another place with -o")


def _lock(descriptor: int, partial: Path) -> None:
    """Hold the partial file alone: a second conversion to the same name would ruin it. The system frees the lock."""
    try:
        import fcntl
    except ImportError:  # Windows, which refuses to remove or rename a file that another process has open
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The other one may have ended, and renamed the file, between our opening and our locking it.
        is_ours = partial.exists() and os.path.samestat(partial.stat(), os.fstat(descriptor))
    except BlockingIOError:
        is_ours = False
    if not is_ours:
        raise ConversionError(f"another conversion is writing {partial}", "wait for it, or give another name with -o")


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
