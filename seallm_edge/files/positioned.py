"""File that many threads read and write, each at its own offsets."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import threading
from pathlib import Path
from types import TracebackType

_F_NOCACHE = 48  # ref: macOS sys/fcntl.h


class PositionedFile:
    """Open file without a position: every call gives an offset. `mode` is "r" or "r+", as for `io.FileIO`."""

    def __init__(self, path: Path, mode: str) -> None:
        self._file = io.FileIO(path, mode)
        # Windows has no pread and pwrite: seek and read, or seek and write, run under a lock.
        self._lock = threading.Lock()

    def read_into(self, offset: int, target: memoryview) -> int:
        """Fill `target` from `offset` on: number of bytes read, fewer at the end of the file. Raises OSError."""
        done = 0
        while done < len(target):
            count = self._read_some(offset + done, target[done:])
            if not count:
                break
            done += count
        return done

    def write(self, offset: int, data: memoryview) -> None:
        """Write all of `data` at `offset`. Raises OSError."""
        done = 0
        while done < len(data):
            done += self._write_some(offset + done, data[done:])

    def expect(self, offset: int, n_bytes: int) -> None:
        """Start read-ahead of these bytes, where the system has posix_fadvise."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file.fileno(), offset, n_bytes, os.POSIX_FADV_WILLNEED)

    def truncate(self, size: int) -> None:
        """Cut the file off behind `size` bytes. Raises OSError."""
        self._file.truncate(size)

    def check_limit(self, size: int) -> None:
        """Raise OSError (EFBIG) if the file system is known to hold no file of `size` bytes, as FAT32 above 4 GiB."""
        try:
            os.lseek(self._file.fileno(), size, os.SEEK_SET)
        except OSError as error:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG)) from error

    def sync(self) -> None:
        """Sync written bytes to the disk. Raises OSError."""
        os.fsync(self._file.fileno())

    def forget(self) -> None:
        """Drop the file's synced pages from the system's cache, where it can, so that reads come from the disk."""
        with contextlib.suppress(OSError):
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            elif sys.platform == "darwin":
                import fcntl

                fcntl.fcntl(self._file.fileno(), _F_NOCACHE, 1)

    def status(self) -> os.stat_result:
        """Status of the open file (fstat)."""
        return os.fstat(self._file.fileno())

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._file.close()

    def __enter__(self) -> PositionedFile:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def _read_some(self, offset: int, target: memoryview) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [target], offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.readinto(target) or 0

    def _write_some(self, offset: int, data: memoryview) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._file.fileno(), data, offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.write(data) or 0
