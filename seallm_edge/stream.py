"""`Stream` and `AsyncStream`: one reply during decoding, for threads and for event loops; `interleave`: several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from types import TracebackType

from .engine import Finished, Progress, RequestHandle, TextDelta
from .reply import FinishReason, Reply, Timings, TokenLogprob, Usage

OnTokens = Callable[[str, list[int]], None]


class Stream(Iterator[str]):
    """Iterator over a reply's text, in whole grapheme clusters; `read()` reads the rest.

    The model decodes meanwhile, up to some 128 deltas ahead of the reader. `reply` is the reply as read so far.
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
        self._stop_text: str | None = None
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
        """Read the rest, and return the whole reply."""
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
        """End the reply now; the text read so far stays in `reply`. The KV cache stays reusable for the next prompt."""
        self._handle.output.cancel()
        self._end()

    close = cancel

    @property
    def prompt_share(self) -> float:
        """Share of the prompt that is prefilled, from 0 to 1; the text begins after it."""
        return self._handle.prompt_share

    @property
    def logprobs(self) -> Sequence[TokenLogprob]:
        """Log probabilities of the tokens read so far, if they were requested."""
        return self._logprobs

    @property
    def reply(self) -> Reply:
        """The reply as read so far; its `finish_reason` is `cancelled` until the model ends it."""
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
            self._stop_text,
        )

    def _taken(self, item: TextDelta | Finished) -> str:
        if isinstance(item, TextDelta):
            self._add(item)
            self._ttft_seconds = self._ttft_seconds or item.progress.seconds
            return item.text
        if item.last and not self._is_over:
            self._add(item.last)
            self._finish_reason, self._stop_text = item.finish_reason, item.stop_text
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
        """Report the reply's tokens to `on_tokens` if they spell its text, which a stop string prevents."""
        if self._is_over:
            return
        self._is_over = True
        text = "".join(self._texts)
        if self._on_tokens and text.encode() == self._data:
            self._on_tokens(text, self._tokens)
        self._owner = None


def interleave(streams: Sequence[Stream]) -> Iterator[tuple[int, str]]:
    """Text deltas of several streams, each with the index of its stream. They are read in turn, so that no stream lags
    behind and pauses, and all are decoded in one batch.
    """
    unfinished = dict(enumerate(streams))
    while unfinished:
        for index, stream in list(unfinished.items()):
            delta = next(stream, None)
            if delta is None:
                del unfinished[index]
            else:
                yield index, delta


class AsyncStream(AsyncIterator[str]):
    """Async iterator over a reply's text, as `Stream`; `await read()` reads the rest. Never blocks the event loop.

    The first `await` starts the reply. Cancelling the reading task, `cancel()`, `aclose()` and dropping the stream end
    it.
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
        """Read the rest, and return the whole reply."""
        async for _ in self:
            pass
        return (await self._begun()).reply

    def cancel(self) -> None:
        """End the reply now; the text read so far stays in `reply`."""
        self._begin = None
        if self._stream:
            self._stream.cancel()

    async def aclose(self) -> None:
        """End the reply, as `cancel`."""
        self.cancel()

    @property
    def reply(self) -> Reply:
        """The reply as read so far; empty before it has begun."""
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
