"""`Feed`: how the worker hands a reply to its reader, in either of two worlds: threads and event loops.

One writes and one reads. Neither ever waits for a lock that the other holds, and `cancel` may be called from a
destructor, wherever the garbage collector happens to run it: so everything goes through a SimpleQueue, whose `put` is
reentrant.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ..reply import FinishReason

# A reader that is this many pieces behind has stopped reading; it goes on once so few are left.
FULL, LOW = 128, 32
_LOOK_UP_SECONDS = 0.5  # Windows lets Ctrl-C through between two waits only


class Piece(NamedTuple):
    """Text, and how far the reply had come with it: tokens, bytes of theirs, seconds since it was asked for."""

    text: str
    n_tokens: int
    n_bytes: int
    seconds: float


@dataclass(frozen=True)
class End:
    """The last thing a feed gives: why the reply ended, or the error that ended it; tokens and seconds as in Piece."""

    finish_reason: FinishReason = "cancelled"
    n_tokens: int | None = None
    seconds: float | None = None
    error: Exception | None = None


class Feed:
    """Pieces of one reply, then its End, once. `on_change` is called when the worker has something to see to: room
    again in a feed that was full, or the reader's `cancel`.
    """

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self._items: queue.SimpleQueue[Piece | End] = queue.SimpleQueue()
        self.on_change = on_change
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None
        self._end: End | None = None
        self._is_paused = False
        self.is_cancelled = False

    def put(self, item: Piece | End) -> None:
        """Hand one thing over. Never blocks; see `is_full`."""
        self._items.put(item)
        if waiting := self._waiting:
            loop, future = waiting
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody reads any more
                loop.call_soon_threadsafe(_finish, future)

    @property
    def is_full(self) -> bool:
        """Whether the reader has fallen behind, so that writing on is of no use; `on_change` tells when it is again."""
        if self._is_paused or self._items.qsize() >= FULL:
            self._is_paused = self._items.qsize() > LOW
        return self._is_paused

    def get(self) -> Piece | End:
        """The next thing; waits for it. After the End, or `cancel`, always the End."""
        while not self._is_over():
            with contextlib.suppress(queue.Empty):
                return self._taken(self._items.get(timeout=_LOOK_UP_SECONDS))
        return self._end or End()

    async def aget(self) -> Piece | End:
        """As `get`, for an event loop, which is never blocked."""
        while not self._is_over():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            self._waiting = loop, future
            try:
                return self._taken(self._items.get_nowait())
            except queue.Empty:
                await future
            finally:
                self._waiting = None
        return self._end or End()

    def cancel(self) -> None:
        """End the reply now. What was not read yet is dropped. Safe from any thread, and twice."""
        if self._end is None and not self.is_cancelled:
            self.is_cancelled = True
            self.put(End())  # wakes whoever waits
            self.on_change()

    def _is_over(self) -> bool:
        return self._end is not None or self.is_cancelled

    def _taken(self, item: Piece | End) -> Piece | End:
        if self.is_cancelled:
            item = End()
        if isinstance(item, End):
            self._end = item
        if self._is_paused and self._items.qsize() <= LOW:
            self._is_paused = False
            self.on_change()
        return item


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
