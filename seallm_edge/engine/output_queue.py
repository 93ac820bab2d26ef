"""`OutputQueue`: passes a reply from the engine's thread to its reader, a thread or an event loop.

One writer, one reader. Neither waits for a lock that the other holds, and `cancel` may be called from a destructor,
wherever the garbage collector runs it: so everything goes through a SimpleQueue, whose `put` is reentrant.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ..reply import FinishReason, TokenLogprob

# A reader that is this many pieces behind has stopped reading; it goes on once so few are left.
FULL, LOW = 128, 32
_LOOK_UP_SECONDS = 0.5  # Windows lets Ctrl-C through between two waits only


class Progress(NamedTuple):
    """Figures of a reply so far: prompt tokens that the KV cache held, seconds of the prefill, seconds since the
    request, tokens a decode step, estimated speed relative to decoding without draft tokens.
    """

    cached_tokens: int = 0
    prefill_seconds: float = 0.0
    seconds: float = 0.0
    tokens_per_step: float = 1.0
    speedup: float = 1.0


class TextDelta(NamedTuple):
    """Text of a reply since the last delta, in whole grapheme clusters; the tokens sampled meanwhile, their bytes, and
    their log probabilities if those were asked for.

    Text lags behind tokens while a cluster or a stop string may be incomplete.
    """

    text: str = ""
    tokens: tuple[int, ...] = ()
    data: bytes = b""
    logprobs: tuple[TokenLogprob, ...] = ()
    progress: Progress = Progress()


@dataclass(frozen=True)
class Finished:
    """Last item of an output queue: the finish reason, or the error, and the tokens since the last delta; None of them
    where the reader cancelled. `stop_text` is the stop string that ended the reply.
    """

    finish_reason: FinishReason = "cancelled"
    last: TextDelta | None = None
    error: Exception | None = None
    stop_text: str | None = None


class OutputQueue:
    """Text deltas of one reply, then one `Finished`. Calls `on_change` when the engine must look: a full queue has
    space again, or the reader cancelled.
    """

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self._items: queue.SimpleQueue[TextDelta | Finished] = queue.SimpleQueue()
        self.on_change = on_change
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None
        self._end: Finished | None = None
        self._is_paused = False
        self.is_cancelled = False

    def put(self, item: TextDelta | Finished) -> None:
        """Append an item. Never blocks; see `is_full`."""
        self._items.put(item)
        if waiting := self._waiting:
            loop, future = waiting
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody reads any more
                loop.call_soon_threadsafe(_finish, future)

    @property
    def is_full(self) -> bool:
        """Whether the reader lags so far behind that generation should pause; `on_change` tells when it may resume."""
        if self._is_paused or self._items.qsize() >= FULL:
            self._is_paused = self._items.qsize() > LOW
        return self._is_paused

    def get(self) -> TextDelta | Finished:
        """The next item; blocks until there is one. After `Finished`, or `cancel`, always `Finished`."""
        while not self._is_over():
            with contextlib.suppress(queue.Empty):
                return self._taken(self._items.get(timeout=_LOOK_UP_SECONDS))
        return self._end or Finished()

    async def aget(self) -> TextDelta | Finished:
        """`get` for an event loop, which is never blocked."""
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
        return self._end or Finished()

    def cancel(self) -> None:
        """Cancel the request. Unread items are dropped. Safe from any thread, and twice."""
        if self._end is None and not self.is_cancelled:
            self.is_cancelled = True
            self.put(Finished())  # wakes whoever waits
            self.on_change()

    def _is_over(self) -> bool:
        return self._end is not None or self.is_cancelled

    def _taken(self, item: TextDelta | Finished) -> TextDelta | Finished:
        if self.is_cancelled:
            item = Finished()
        if isinstance(item, Finished):
            self._end = item
        if self._is_paused and self._items.qsize() <= LOW:
            self._is_paused = False
            self.on_change()
        return item


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
