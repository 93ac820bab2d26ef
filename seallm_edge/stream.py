"""`Stream` and `AsyncStream`: one reply while it is written, for threads and for event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType

from .engine import Finished, Progress, RequestHandle, TextDelta
from .reply import FinishReason, Reply, Timings, TokenLogprob, Usage

OnTokens = Callable[[str, list[int]], None]


class Stream(Iterator[str]):
    """Iterator over a reply's text, in whole grapheme clusters; `read()` takes all that is left.

    The model decodes meanwhile, until its reader is some 128 deltas behind. `reply` sums up what was read so far.
    `cancel()` ends the reply at once, from any thread; so do `close()` and dropping the stream. Iterating raises
    EngineError if the model fails or is closed.
    """

    def __init__(
        self, handle: RequestHandle, n_prompt: int, on_tokens: OnTokens | None = None, owner: object = None
    ) -> None:
        self._handle = handle
        self._n_prompt = n_prompt
        self._on_tokens = on_tokens
        self._owner = owner  # keeps the model of a reply that is being read
        self._texts: list[str] = []
        self._tokens: list[int] = []
        self._data = bytearray()
        self._logprobs: list[TokenLogprob] = []
        self._progress = Progress()
        self._ttft_seconds = 0.0
        self._finish_reason: FinishReason = "cancelled"
        self._is_over = False

    def __next__(self) -> str:
        return self._taken(self._handle.output.get())

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._handle.output.cancel()

    def read(self) -> Reply:
        """The whole reply."""
        for _ in self:
            pass
        return self.reply

    async def anext(self) -> str | None:
        """The next text, for an event loop; None after the last."""
        try:
            return self._taken(await self._handle.output.aget())
        except StopIteration:
            return None

    def cancel(self) -> None:
        """Stop writing; what was read stays in `reply`. What was computed stays useful for the next prompt."""
        self._handle.output.cancel()
        self._end()

    close = cancel

    @property
    def prompt_share(self) -> float:
        """Share of the prompt that is read, from 0 to 1; the text begins after it."""
        return self._handle.prompt_share

    @property
    def reply(self) -> Reply:
        """The reply as far as it was read; `cancelled` until it ends by itself."""
        text, progress = "".join(self._texts), self._progress
        return Reply(
            text,
            self._finish_reason,
            Usage(self._n_prompt, progress.cached_tokens, len(self._tokens), len(text)),
            Timings(
                progress.prefill_seconds,
                self._ttft_seconds,
                progress.seconds,
                progress.tokens_per_step,
                progress.speedup,
            ),
            tuple(self._logprobs),
        )

    def _taken(self, item: TextDelta | Finished) -> str:
        if isinstance(item, TextDelta):
            self._add(item)
            self._ttft_seconds = self._ttft_seconds or item.progress.seconds
            return item.text
        if item.last and not self._is_over:
            self._add(item.last)
            self._finish_reason = item.finish_reason
        self._end()
        if item.error:
            raise item.error
        raise StopIteration

    def _add(self, delta: TextDelta) -> None:
        self._texts.append(delta.text)
        self._tokens += delta.tokens
        self._data += delta.data
        self._logprobs += delta.logprobs
        self._progress = delta.progress

    def _end(self) -> None:
        """Tell the tokens of what was read, where they spell just that: not so after a stop string."""
        if self._is_over:
            return
        self._is_over = True
        text = "".join(self._texts)
        if self._on_tokens and text.encode() == self._data:
            self._on_tokens(text, self._tokens)
        self._owner = None


class AsyncStream(AsyncIterator[str]):
    """As `Stream`, with `async for`; `await read()` takes all that is left. The event loop is never blocked.

    The reply begins when it is first asked for. Cancelling the task that reads, `cancel()`, `aclose()` and dropping
    the stream stop the writing.
    """

    def __init__(self, begin: Callable[[], Stream]) -> None:
        self._begin: Callable[[], Stream] | None = begin
        self._stream: Stream | None = None

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> str:
        stream = await self._begun()
        try:
            text = await stream.anext()
        except asyncio.CancelledError:
            stream.cancel()
            raise
        if text is None:
            raise StopAsyncIteration
        return text

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.cancel()

    async def read(self) -> Reply:
        """The whole reply."""
        async for _ in self:
            pass
        return (await self._begun()).reply

    def cancel(self) -> None:
        """Stop writing; what was read stays in `reply`."""
        self._begin = None
        if self._stream:
            self._stream.cancel()

    async def aclose(self) -> None:
        """As `cancel`."""
        self.cancel()

    @property
    def reply(self) -> Reply:
        """The reply as far as it was read; an empty one before it began."""
        if self._stream:
            return self._stream.reply
        return Reply("", "cancelled", Usage(0, 0, 0, 0), Timings(0.0, 0.0, 0.0))

    async def _begun(self) -> Stream:
        if self._stream is None:
            begin, self._begin = self._begin, None
            if begin is None:  # cancelled before it began
                raise StopAsyncIteration
            self._stream = await asyncio.to_thread(begin)
        return self._stream
