"""File lock of one process, which the system releases when the process ends for any reason."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

_POLL_SECONDS = 0.02


def locked_alone(file: IO[Any]) -> bool:
    """Lock `file`, open for writing, until it is closed: whether this process has the lock."""
    try:
        import fcntl
    except ImportError:
        return _locked_on_windows(file.fileno())
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether another process holds the lock on the file `path`. Raises OSError."""
    with path.open("r+b", buffering=0) as file:
        return not locked_alone(file)


@contextlib.contextmanager
def waited_lock(path: Path, seconds: float) -> Iterator[None]:
    """Lock on the file `path`, made if it is missing. Raises TimeoutError after `seconds` of waiting, and OSError."""
    end = time.monotonic() + seconds
    with path.open("a+b", buffering=0) as file:
        while not locked_alone(file):
            if time.monotonic() > end:
                raise TimeoutError(f"{path} is locked")
            time.sleep(_POLL_SECONDS)
        yield


def _locked_on_windows(descriptor: int) -> bool:
    import msvcrt

    os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # far behind all text, since a locked byte cannot be read
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)
    return True
