"""Receipt of a file: hash of its bytes as they arrive, with states by which they are found again on the disk.

A state is that of the running sha256 after so many bytes, which costs nothing more; where it cannot be saved, a crc32.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..files.positioned import PositionedFile
from .digest import Digest, PlainDigest, Sha256, can_resume

BLOCK_BYTES = 4 << 20  # states are kept at multiples of it: what is fetched again for a bad byte
_READ_BYTES = 1 << 20
_CRC32_STATE = struct.Struct(">QI")


class Crc32:
    """A crc32 whose state can be saved everywhere."""

    def __init__(self, n_bytes: int = 0, value: int = 0) -> None:
        self.n_bytes = n_bytes  # bytes so far
        self._value = value

    def update(self, data: memoryview) -> None:
        """Add bytes; releases the GIL meanwhile."""
        self._value = zlib.crc32(data, self._value)
        self.n_bytes += len(data)

    def state(self) -> bytes:
        """State to resume from: bytes so far, and their crc32."""
        return _CRC32_STATE.pack(self.n_bytes, self._value)


_Running = Sha256 | Crc32


class Receipt:
    """Receipt of the bytes before `at` of a file, and of those that `update` adds."""

    def __init__(self, file: PositionedFile, at: int = 0, state: bytes | None = None) -> None:
        """Resume from the `state` after `at` bytes; where sha256 states cannot be saved, those bytes are read again.

        Raises OSError, and ValueError if that is no such state.
        """
        self._running = _resumed(state, at)
        self._sha256: Digest = self._running if isinstance(self._running, Sha256) else PlainDigest(hashlib.sha256())
        if self._sha256 is not self._running:
            for part in parts(file, 0, at):
                self._sha256.update(part)

    @property
    def at(self) -> int:
        """Bytes so far."""
        return self._running.n_bytes

    def update(self, data: memoryview) -> None:
        """Add bytes; releases the GIL meanwhile."""
        self._running.update(data)
        if self._sha256 is not self._running:
            self._sha256.update(data)

    def state(self) -> bytes:
        """State after the bytes so far."""
        return self._running.state()

    def sha256(self) -> str:
        """The sha256 of the bytes so far."""
        return self._sha256.hexdigest()


@dataclass(frozen=True)
class Span:
    """Bytes of a file from `start` to before `end`, with the states before and after them on receipt."""

    start: int
    end: int
    before: bytes | None
    after: bytes

    def is_intact(self, file: PositionedFile) -> bool:
        """Whether the file holds the bytes that were received. Raises OSError."""
        running = _resumed(self.before, self.start)
        for part in parts(file, self.start, self.end):
            running.update(part)
        return running.state() == self.after


def spans(states: Mapping[int, bytes]) -> list[Span]:
    """Spans of a file between the recorded states: blocks, and what is behind the last whole one."""
    places = sorted(states)
    return [Span(start, end, states.get(start), states[end]) for start, end in zip([0, *places], places, strict=False)]


def parts(file: PositionedFile, start: int, end: int) -> Iterator[memoryview]:
    """The bytes of a file from `start` to before `end`, or to its end if that comes first. Raises OSError."""
    buffer = memoryview(bytearray(_READ_BYTES))
    while start < end and (count := file.read_into(start, buffer[: end - start])):
        yield buffer[:count]
        start += count


def is_state(state: bytes, at: int) -> bool:
    """Whether a state after `at` bytes can be resumed from here."""
    try:
        _resumed(state, at)
    except ValueError:
        return False
    return True


def _resumed(state: bytes | None, at: int) -> _Running:
    if at == 0:
        return Sha256() if can_resume() else Crc32()
    if state is not None and len(state) == _CRC32_STATE.size and not can_resume():
        running: _Running = Crc32(*_CRC32_STATE.unpack(state))
    elif state is not None and can_resume():
        running = Sha256.from_state(state)
    else:
        raise ValueError("no state to resume from")
    if running.n_bytes != at:
        raise ValueError(f"the state after {running.n_bytes} bytes, not {at}")
    return running
