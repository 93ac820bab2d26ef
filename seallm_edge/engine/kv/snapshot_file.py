"""One snapshot on disk: tokens and the KV state that llama.cpp has of them, whole or refused.

    bytes  what (numbers are little-endian)
        8  "SEALLMKV"
        4  version of this format, uint32
       32  sha256 of the key: of all that a state must share with the context that takes it
        4  n, how many tokens, uint32
        8  m, bytes of the state, uint64
      4 n  tokens, int32
        m  state, as `llama_state_seq_get_data` gave it
       32  sha256 of all bytes before

A file gets its name only when all of it is on the disk, so what a killed process leaves is never taken for a snapshot.
The hash refuses what a disk damages later: sha256 because processors compute it (SHA-NI, Armv8), and nothing else that
finds any damage costs less.

Knows one file, not which others there are.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...files import atomic

if TYPE_CHECKING:
    from hashlib import _Hash

FORMAT = 1

Tokens: TypeAlias = NDArray[np.int32]
State: TypeAlias = bytes | bytearray | memoryview | NDArray[np.uint8]

_MAGIC = b"SEALLMKV"
_HEAD = struct.Struct("<8sI32sIQ")
_DIGEST_BYTES = 32
_TOKEN_BYTES = 4
_MAX_TOKENS = 1 << 20  # eight times the longest context of any SeaLLM
_CHUNK_BYTES = 1 << 20  # hashed while it is still in the processor's cache


class NotASnapshot(Exception):
    """What stands there is no whole snapshot of this format and key; its text says why."""


def as_tokens(tokens: Sequence[int] | Tokens) -> Tokens:
    """A copy of `tokens` as an array, shape (n_tokens,)."""
    return np.array(tokens, np.int32)


def as_bytes(state: State) -> memoryview:
    """A view of all bytes of `state`, whatever kind of buffer it is."""
    return np.frombuffer(state, np.uint8).data if len(state) else memoryview(b"")


def encoded(tokens: Tokens) -> bytes:
    """`tokens` as they stand in a file."""
    return tokens.astype("<i4", copy=False).tobytes()


def file_bytes(n_tokens: int, n_state: int) -> int:
    """Bytes of the file of a snapshot; 0 where none can be made of so many tokens or bytes."""
    possible = 0 < n_tokens <= _MAX_TOKENS and n_state > 0
    return _HEAD.size + _TOKEN_BYTES * n_tokens + n_state + _DIGEST_BYTES if possible else 0


def write(path: Path, key: bytes, tokens: Tokens, state: memoryview) -> None:
    """Write a snapshot beside `path`, for the user alone to read, and rename it to `path`. `key` is a sha256.

    Raises OSError, with nothing of it left.
    """
    with atomic.replacing(path, 0o600) as file:
        digest = hashlib.sha256()
        for piece in (_HEAD.pack(_MAGIC, FORMAT, key, len(tokens), len(state)), encoded(tokens), state):
            _write_hashed(file, memoryview(piece), digest)
        file.write(digest.digest())


def read_tokens(path: Path, key: bytes) -> tuple[Tokens, int]:
    """(tokens, bytes of the file), from its head alone: the state may yet prove damaged.

    Raises NotASnapshot, and OSError where it cannot be read.
    """
    with _opened(path) as (file, size):
        digest = hashlib.sha256()
        n_tokens, _ = _read_head(file, size, key, digest)
        return _read_array(file, n_tokens, digest), size


def read(path: Path, key: bytes) -> tuple[Tokens, memoryview]:
    """(tokens, state), once the hash of all of it is right; the state is writable memory of its own.

    Raises NotASnapshot, OSError where it cannot be read, and MemoryError.
    """
    with _opened(path) as (file, size):
        digest = hashlib.sha256()
        n_tokens, n_state = _read_head(file, size, key, digest)
        tokens = _read_array(file, n_tokens, digest)
        state = np.empty(n_state, np.uint8).data
        _read_hashed(file, state, digest)
        if file.read(_DIGEST_BYTES) != digest.digest():
            raise NotASnapshot("its hash is wrong")
        return tokens, state


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size; links, folders and pipes are not opened."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise NotASnapshot("is no file")
    with path.open("rb") as file:
        yield file, os.fstat(file.fileno()).st_size


def _read_head(file: BinaryIO, size: int, key: bytes, digest: _Hash) -> tuple[int, int]:
    raw = file.read(_HEAD.size)
    if len(raw) < _HEAD.size:
        raise NotASnapshot("is cut short")
    magic, version, found_key, n_tokens, n_state = _HEAD.unpack(raw)
    if (magic, version) != (_MAGIC, FORMAT):
        raise NotASnapshot("is of another format")
    if found_key != key:
        raise NotASnapshot("is of another model or llama.cpp")
    if size != file_bytes(n_tokens, n_state):
        raise NotASnapshot("has another size than its head says")
    digest.update(raw)
    return n_tokens, n_state


def _read_array(file: BinaryIO, n_tokens: int, digest: _Hash) -> Tokens:
    tokens = np.empty(n_tokens, "<i4")
    _read_hashed(file, tokens.view(np.uint8).data, digest)
    return tokens


def _read_hashed(file: BinaryIO, into: memoryview, digest: _Hash) -> None:
    for piece in _pieces(into):
        if file.readinto(piece) < len(piece):  # type: ignore[attr-defined]
            raise NotASnapshot("is cut short")
        digest.update(piece)


def _write_hashed(file: BinaryIO, data: memoryview, digest: _Hash) -> None:
    for piece in _pieces(data):
        digest.update(piece)
        file.write(piece)


def _pieces(data: memoryview) -> Iterator[memoryview]:
    return (data[start : start + _CHUNK_BYTES] for start in range(0, len(data), _CHUNK_BYTES))
