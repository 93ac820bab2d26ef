"""Parts of files as bodies of HTTP answers, read block by block, and hashes of whole files, computed once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_BLOCK = 1 << 14


@dataclass(frozen=True)
class FilePart:
    """Bytes of `path` from `start` to before `end`; `flipped` is the offset of a byte that gets another bit."""

    path: Path
    start: int
    end: int
    flipped: int | None = None

    def __len__(self) -> int:
        return self.end - self.start

    def blocks(self, n: int) -> Iterator[bytes]:
        """The first `n` bytes, in blocks."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            at, end = self.start, min(self.end, self.start + n)
            while at < end and (block := bytearray(file.read(min(_BLOCK, end - at)))):
                if self.flipped is not None and at <= self.flipped < at + len(block):
                    block[self.flipped - at] ^= 1
                yield bytes(block)
                at += len(block)


@dataclass(frozen=True)
class Text:
    """A body of a few bytes."""

    data: bytes

    def __len__(self) -> int:
        return len(self.data)

    def blocks(self, n: int) -> Iterator[bytes]:
        """The first `n` bytes, in blocks."""
        for start in range(0, min(len(self.data), n), _BLOCK):
            yield self.data[start : min(start + _BLOCK, n)]


def hash_of(path: Path, kind: str) -> str:
    """The file's hash: of its content ("sha256", "sha1"), or of its git blob ("blob")."""
    status = path.stat()
    return _hash_of(path, kind, status.st_size, status.st_mtime_ns)


@cache
def _hash_of(path: Path, kind: str, size: int, _changed: int) -> str:
    with path.open("rb") as file:
        if kind != "blob":
            return hashlib.file_digest(file, kind).hexdigest()
        running = hashlib.sha1(f"blob {size}\0".encode())
        while block := file.read(1 << 20):
            running.update(block)
        return running.hexdigest()
