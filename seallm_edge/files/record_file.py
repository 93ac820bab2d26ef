"""Record file beside an unfinished file: JSON records with checksums, appended and synced; its descriptor is the lock.

The records before the first incomplete one count: a power loss may cut the last one off. Knows nothing of their
contents.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .locking import locked_alone


def partial_path(path: Path) -> Path:
    """Path of the file `path` until it is complete."""
    return path.with_name(path.name + ".partial")


def journal_path(path: Path) -> Path:
    """Path of the record file that tells the progress of the unfinished file `path`."""
    return path.with_name(path.name + ".journal")


def read_records(path: Path) -> list[dict[str, Any]]:
    """The whole records of a file that another process may be writing; none of a missing one."""
    try:
        return _whole_records(path.read_bytes())[0]
    except OSError:
        return []


class RecordFile:
    """Record file, open for reading and appending. Any thread may append."""

    def __init__(self, path: Path) -> None:
        """Open `path`, made if it is missing and never emptied by opening. Raises OSError."""
        self.path = path
        self._file = path.open("a+b", buffering=0)
        self._lock = threading.Lock()

    def lock(self) -> bool:
        """Lock the file until it is closed: whether this process has the lock of the file at `path`."""
        # Another owner may have ended, and removed its file, between our opening and our locking it.
        return locked_alone(self._file) and self._is_in_place()

    def read(self) -> list[dict[str, Any]]:
        """The whole records; a cut-off one at the end is removed, so that nothing is appended to it. Raises OSError."""
        self._file.seek(0)
        records, n_bytes = _whole_records(self._file.read())
        self._file.truncate(n_bytes)
        return records

    def restart(self, first: Mapping[str, Any]) -> None:
        """Empty the file, and write its first record. Raises OSError."""
        self._file.truncate(0)
        self.append(first)

    def append(self, record: Mapping[str, Any], *, is_synced: bool = True) -> None:
        """Append a record; with `is_synced` it and all earlier ones are on the disk afterwards. Raises OSError."""
        text = json.dumps(record, separators=(",", ":")).encode()
        with self._lock:
            self._write(b"%08x %s\n" % (zlib.crc32(text), text))
        if is_synced:
            os.fsync(self._file.fileno())

    def remove(self) -> None:
        """Remove the file. Closing it releases the lock."""
        if os.name == "nt":  # which cannot remove an open file
            self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file, and keep it."""
        with contextlib.suppress(OSError):  # a full disk was reported when the record was written
            self._file.close()

    def _write(self, line: bytes) -> None:
        end = os.fstat(self._file.fileno()).st_size
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError:
            self._file.truncate(end)  # half a record would hide those after it
            raise

    def _is_in_place(self) -> bool:
        return self.path.exists() and os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))


def _whole_records(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """Records before the first incomplete one, and their number of bytes."""
    found, n_bytes = [], 0
    for line in data.splitlines(keepends=True):
        checksum, _, text = line.removesuffix(b"\n").partition(b" ")
        if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
            break
        found.append(json.loads(text))
        n_bytes += len(line)
    return found, n_bytes
