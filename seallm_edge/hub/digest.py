"""Running hashes, and a sha256 whose state can be saved and resumed, which Python's hashlib cannot do.

ref: openssl/sha.h: SHA256_CTX is a public struct of 112 bytes, so that a copy of its bytes is a copy of its state.
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Protocol


class Digest(Protocol):
    """A hash of the bytes so far."""

    def update(self, data: memoryview) -> None:
        """Add bytes; releases the GIL meanwhile. `data` is contiguous."""

    def hexdigest(self) -> str:
        """The hash of the bytes so far; more may follow."""

    def state(self) -> bytes | None:
        """State from which the hash can be resumed; None where it cannot."""


class PlainDigest:
    """Hash of hashlib, whose state cannot be saved."""

    def __init__(self, running: hashlib._Hash) -> None:
        self._running = running

    def update(self, data: memoryview) -> None:
        """Add bytes."""
        self._running.update(data)

    def hexdigest(self) -> str:
        """The hash of the bytes so far."""
        return self._running.hexdigest()

    def state(self) -> None:
        """None: hashlib gives no state."""
        return


class _Context(ctypes.Structure):
    _fields_ = (
        ("hash", ctypes.c_uint32 * 8),
        ("low_bits", ctypes.c_uint32),
        ("high_bits", ctypes.c_uint32),
        ("block", ctypes.c_uint32 * 16),
        ("num_in_block", ctypes.c_uint),
        ("digest_bytes", ctypes.c_uint),
    )

    @property
    def n_bytes(self) -> int:
        """Bytes hashed so far."""
        return (int(self.high_bits) << 32 | int(self.low_bits)) // 8


class Sha256:
    """A sha256 by OpenSSL, whose state can be saved. Available where `can_resume()`."""

    def __init__(self) -> None:
        self._library = _sha256_library()
        self._context = _Context()
        self._library.SHA256_Init(ctypes.byref(self._context))

    @classmethod
    def from_state(cls, state: bytes) -> Sha256:
        """Resume a hash from a `state()`. Raises ValueError if that is no sha256 state."""
        if len(state) != ctypes.sizeof(_Context):
            raise ValueError(f"a state of {len(state)} bytes, not {ctypes.sizeof(_Context)}")
        context = _Context.from_buffer_copy(state)
        if context.digest_bytes != 32 or context.num_in_block != context.n_bytes % 64:
            raise ValueError("a state that is not of sha256")
        resumed = cls()
        resumed._context = context
        return resumed

    @property
    def n_bytes(self) -> int:
        """Bytes hashed so far."""
        return self._context.n_bytes

    def update(self, data: memoryview | bytearray | bytes) -> None:
        """Add bytes; releases the GIL meanwhile."""
        view = memoryview(data).cast("B")
        if view.nbytes == 0:
            return
        source = bytes(view) if view.readonly else ctypes.byref(ctypes.c_char.from_buffer(view))
        self._library.SHA256_Update(ctypes.byref(self._context), source, ctypes.c_size_t(view.nbytes))

    def hexdigest(self) -> str:
        """The hash of the bytes so far; more may follow."""
        copy = _Context.from_buffer_copy(self._context)
        found = ctypes.create_string_buffer(32)
        self._library.SHA256_Final(found, ctypes.byref(copy))
        return found.raw.hex()

    def state(self) -> bytes:
        """State for `from_state`: 112 bytes, in this machine's byte order."""
        return bytes(self._context)


def new_sha256(state: bytes | None = None, n_bytes: int = 0) -> Digest | None:
    """A sha256, new or resumed from `state`; None if that is not the state after `n_bytes` bytes."""
    if state is None and n_bytes == 0:
        return Sha256() if can_resume() else PlainDigest(hashlib.sha256())
    if state is None or not can_resume():
        return None
    try:
        resumed = Sha256.from_state(state)
    except ValueError:
        return None
    return resumed if resumed.n_bytes == n_bytes else None


@cache
def can_resume() -> bool:
    """Whether OpenSSL's functions are found here, and give correct hashes, also after a resume."""
    try:
        whole, first = Sha256(), Sha256()
        whole.update(b"abc")
        first.update(bytes(range(200)))
        second = Sha256.from_state(first.state())
        second.update(bytearray(b"\x07" * 333))
    except (AttributeError, ImportError, OSError, ValueError):
        return False
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    longer = hashlib.sha256(bytes(range(200)) + b"\x07" * 333).hexdigest()
    return whole.hexdigest() == known and second.hexdigest() == longer and second.n_bytes == 533


@cache
def _sha256_library() -> ctypes.CDLL:
    """The libcrypto that Python is linked with. Raises AttributeError or OSError if its functions are not exported."""
    for path in _libraries():
        library = ctypes.CDLL(path)
        if hasattr(library, "SHA256_Init"):
            return library
    raise AttributeError("no SHA256_Init")


def _libraries() -> Iterator[str]:
    import _hashlib

    # On Linux and macOS a library's handle also finds symbols of the libraries it is linked with. Only Python's own
    # libcrypto may be used: macOS kills a process that loads the system's.
    yield _hashlib.__file__
    if sys.platform == "win32":
        yield from map(str, Path(_hashlib.__file__).parent.glob("libcrypto-3*.dll"))
