"""Stream of a hub's file: read in order and hashed during the read."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from ..errors import HashMismatch, HubError
from .digest import Digest
from .transfer import Transfer

_SCRAP_BYTES = 1 << 18


class FileStream:
    """Stream of a file of `size` bytes from `offset` to its end. One thread reads; any thread may call `close`.

    Every method raises HubError when retries are exhausted, and after `close`.
    """

    def __init__(self, name: str, size: int, offset: int, transfer: Transfer, digest: Digest | None, expected: str):
        """`digest` has hashed the bytes before the transfer; `expected` is its value at the end."""
        self._name = name
        self._size = size
        self._transfer = transfer
        self._digest = digest
        self._expected = expected
        # Bytes before `offset` that are read for the hash only, because its state was lost.
        self._to_hash_first = offset - transfer.position

    @property
    def position(self) -> int:
        """Offset of the next byte in the file."""
        return self._transfer.position + self._to_hash_first

    def readinto(self, target: memoryview) -> None:
        """Fill `target` (contiguous) with the next bytes."""
        self._catch_up()
        rest = target.cast("B")
        if len(rest) > self._size - self.position:
            problem = f"{self._name} has {self._size} bytes: {len(rest)} more after {self.position} are not there"
            raise HubError(problem, "the file is damaged, or the repository is no model's")
        while rest:
            rest = rest[self._take(rest) :]

    def skip(self, n: int) -> None:
        """Skip the next `n` bytes; they are read and hashed too."""
        scrap = memoryview(bytearray(min(n, _SCRAP_BYTES)))
        end = self.position + n
        while (left := end - self.position) > 0:
            self.readinto(scrap[:left])

    def digest_state(self) -> bytes | None:
        """State of the running sha256 at `position`, for `Repository.stream`; None where it cannot be saved."""
        return self._digest.state() if self._digest and not self._to_hash_first else None

    def finish(self) -> None:
        """Close at the end of the file. Raises HashMismatch if its hash is not the one that the hub lists."""
        self._catch_up()
        if self.position != self._size:
            raise HubError(f"{self._name} was read to {self.position} of {self._size} bytes only", "read the rest")
        self.close()
        if self._digest and (found := self._digest.hexdigest()) != self._expected:
            raise HashMismatch(self._name, self._expected, found)

    def close(self) -> None:
        """Close the stream; a thread blocked in `readinto` gets HubError. May be called twice."""
        self._transfer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _catch_up(self) -> None:
        scrap = memoryview(bytearray(min(self._to_hash_first, _SCRAP_BYTES)))
        while self._to_hash_first:
            self._to_hash_first -= self._take(scrap[: self._to_hash_first])

    def _take(self, target: memoryview) -> int:
        count = self._transfer.readinto(target)
        if self._digest:
            self._digest.update(target[:count])
        return count
