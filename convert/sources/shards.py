"""The files that weights come from: what every kind of them can do, and those on this computer's disk.

Knows bytes, places and shapes, not formats.
"""

from __future__ import annotations

import math
import os
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Protocol

from seallm_edge.errors import CheckpointError, ConversionError
from seallm_edge.files.positioned import PositionedFile

_AGAIN = "download or copy this file again"


class ShardStream(Protocol):
    """A shard that comes through a network: read once, from one place to its end."""

    @property
    def position(self) -> int:
        """Bytes of the shard that lie behind."""

    def readinto(self, target: memoryview) -> None:
        """Fill `target` with the next bytes."""

    def skip(self, n: int) -> None:
        """Pass over the next `n` bytes."""

    def digest_state(self) -> bytes | None:
        """The running sha256 at `position`, from which it can go on; None where it cannot."""

    def finish(self) -> None:
        """At the end: raise if the bytes were not those that the source promised."""

    def close(self) -> None:
        """End it from any thread."""


class Shard(Protocol):
    """A file of weights.

    Every method may raise CheckpointError where the file is at fault, and ConversionError or HubError where the same
    may work at another time.
    """

    @property
    def path(self) -> PurePath:
        """What it is called in messages."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def identity(self) -> str:
        """What is another when its bytes are others."""

    @property
    def is_remote(self) -> bool:
        """Whether every `read` is a request through a network."""

    def read(self, offset: int, target: memoryview) -> None:
        """Fill `target` from `offset` on. Any thread may call it."""

    def expect(self, offset: int, n_bytes: int) -> None:
        """Let a disk fetch these bytes while others are worked on."""

    def stream(self, offset: int, state: bytes | None) -> ShardStream | None:
        """The shard from `offset` to its end, to be read in order; None where `read` anywhere is as cheap.

        `state` is a stream's `digest_state` at `offset`.
        """

    def check_unchanged(self) -> None:
        """Raise if the file is no longer the one that was opened."""

    def close(self) -> None:
        """Let go of it; it can be read again later."""


@dataclass(frozen=True)
class SourceTensor:
    """Where a tensor's bytes are: `n_bytes` of them at `offset` in `shard`; its shape has the rows first."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: Shard
    offset: int
    n_bytes: int

    @property
    def n_per_row(self) -> int:
        """Weights of a row."""
        return self.shape[-1]

    @property
    def n_rows(self) -> int:
        """Rows; a vector is one."""
        return math.prod(self.shape[:-1])

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.n_bytes // max(self.n_rows, 1)


class LocalShard:
    """A file on this computer."""

    is_remote = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._status = self._stat()
        self._lock = threading.Lock()
        self._open: PositionedFile | None = None

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    @property
    def size(self) -> int:
        """Bytes, when it was first looked at."""
        return self._status.st_size

    @cached_property
    def identity(self) -> str:
        """Size and time of the last change: hashing would read everything twice."""
        return f"{self._status.st_size}@{self._status.st_mtime_ns}"

    def read(self, offset: int, target: memoryview) -> None:
        """Fill `target` from `offset` on."""
        try:
            count = self._file().read_into(offset, target)
        except OSError as error:
            raise ConversionError(f"{self._path} cannot be read: {error.strerror}", "check the disk") from error
        if count < len(target):
            raise CheckpointError(self._path, "has become shorter while it was read", _AGAIN)

    def expect(self, offset: int, n_bytes: int) -> None:
        """Let the disk fetch these bytes while others are worked on, where the system can be told."""
        self._file().expect(offset, n_bytes)

    def stream(self, offset: int, state: bytes | None) -> None:
        """None."""
        return

    def check_unchanged(self) -> None:
        """Raise CheckpointError if size or time have changed."""
        now = self._stat()
        if (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns):
            raise CheckpointError(self._path, "was changed while it was read", "convert again when it is whole")

    def close(self) -> None:
        """Close the file; safe twice."""
        if self._open:
            self._open.close()
            self._open = None

    def _file(self) -> PositionedFile:
        with self._lock:
            if self._open is None:
                self._open = PositionedFile(self._path, "r")
            return self._open

    def _stat(self) -> os.stat_result:
        try:
            return self._path.stat()
        except OSError as error:
            raise CheckpointError(self._path, f"cannot be read: {error.strerror}", "check the file") from error
