"""Shards, the files with the weights: their protocol, and shards on this computer's disk.

Knows bytes, offsets and shapes, not formats.
"""

from __future__ import annotations

import math
import os
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Protocol, runtime_checkable

from seallm_edge.errors import CheckpointError, ConversionError
from seallm_edge.files.positioned import PositionedFile

DOWNLOAD_AGAIN = "download or copy this file again"


class ShardStream(Protocol):
    """Shard read through a network: once, from one offset to its end."""

    @property
    def position(self) -> int:
        """Offset of the next byte in the shard."""

    def readinto(self, target: memoryview) -> None:
        """Fill `target` with the next bytes."""

    def skip(self, n: int) -> None:
        """Skip the next `n` bytes."""

    def digest_state(self) -> bytes | None:
        """State of the running sha256 at `position`, for a later stream; None where it cannot be saved."""

    def finish(self) -> None:
        """Check the sha256 at the end: raises HashMismatch if the bytes are not those that the hub lists."""

    def close(self) -> None:
        """Close the stream. Any thread may call it."""


class Shard(Protocol):
    """A file of weights.

    Every method may raise CheckpointError for a bad file, and ConversionError or HubError for a failure that may be
    temporary.
    """

    @property
    def path(self) -> PurePath:
        """The shard's path, for messages."""

    @property
    def size(self) -> int:
        """Bytes in the file."""

    @property
    def identity(self) -> str:
        """A text that differs when the bytes do: a hash, or size and time of the last change."""

    def read(self, offset: int, target: memoryview) -> None:
        """Fill `target` from `offset` on. Any thread may call it."""

    def close(self) -> None:
        """Close the file. A later `read` opens it again."""


@runtime_checkable
class StreamedShard(Protocol):
    """Shard behind a network: each `read` is a request, so its weights are read once, in order."""

    def stream(self, offset: int, state: bytes | None) -> ShardStream:
        """Stream of the shard from `offset` to its end; `state` is a stream's `digest_state` at `offset`."""


@dataclass(frozen=True)
class SourceTensor:
    """Tensor in a shard: `n_bytes` bytes at `offset` of `shard`; its shape has the rows first."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: Shard
    offset: int
    n_bytes: int

    @property
    def is_remote(self) -> bool:
        """Whether every `read` of its shard is a network request."""
        return isinstance(self.shard, StreamedShard)

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
    """Shard on this computer's disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._status = self._stat()
        self._lock = threading.Lock()
        self._open: PositionedFile | None = None

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self._path

    @property
    def size(self) -> int:
        """Bytes in the file, when it was opened first."""
        return self._status.st_size

    @cached_property
    def identity(self) -> str:
        """Size and time of the last change; a hash would need a second read of the whole file."""
        return f"{self._status.st_size}@{self._status.st_mtime_ns}"

    def read(self, offset: int, target: memoryview) -> None:
        """Fill `target` from `offset` on."""
        try:
            count = self._file().read_into(offset, target)
        except OSError as error:
            raise ConversionError(f"{self._path} cannot be read: {error.strerror}", "check the disk") from error
        if count < len(target):
            raise CheckpointError(self._path, "has become shorter while it was read", DOWNLOAD_AGAIN)

    def expect(self, offset: int, n_bytes: int) -> None:
        """Start read-ahead of these bytes, where the system has a call for it."""
        self._file().expect(offset, n_bytes)

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
