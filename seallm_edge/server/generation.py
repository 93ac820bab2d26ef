"""`Generation`: what a request asks a model for; `Events`: what comes of it. Knows no protocol."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..llm import SeaLLM
from ..reply import Reply, TokenLogprob
from ..stream import Stream

_BUFFERED_EVENTS = 16


@dataclass(frozen=True)
class Generation:
    """Replies to generate: to messages, or continuations of a text or of token ids. `form` has `schema` or `grammar`
    where the replies are constrained.
    """

    prompt: Any  # messages, or with `is_raw` a text or token ids
    sampling: Mapping[str, Any] = field(default_factory=dict)
    form: Mapping[str, Any] = field(default_factory=dict)
    n: int = 1
    is_raw: bool = False  # the prompt is continued, without a chat format


@dataclass(frozen=True)
class TextEvent:
    """Text of reply `index` since its last event, with the log probabilities of its tokens if those were requested."""

    index: int
    text: str
    logprobs: Sequence[TokenLogprob] = ()


@dataclass(frozen=True)
class EndEvent:
    """End of reply `index`, and the whole reply."""

    index: int
    reply: Reply


Event = TextEvent | EndEvent


class Replies:
    """Replies under way. `events()` yields them as they come; leaving it, or `cancel()`, ends the replies."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._streams = streams
        self._n_logprobs = [0] * len(streams)

    @classmethod
    async def start(cls, llm: SeaLLM, *generations: Generation) -> Replies:
        """Start the replies of all generations, in one batch. Raises InvalidOption and ContextOverflow at once."""
        return cls(await asyncio.to_thread(_all_streams, llm, generations))

    def cancel(self) -> None:
        """End the replies now."""
        for stream in self._streams:
            stream.cancel()

    async def events(self) -> AsyncGenerator[Event, None]:
        """Events of all replies, in the order in which they come. Raises EngineError if the model fails."""
        try:
            async with contextlib.aclosing(self._of(0) if len(self._streams) == 1 else self._merged()) as events:
                async for event in events:
                    yield event
        finally:
            self.cancel()

    async def read(self) -> list[Reply]:
        """All replies, whole."""
        replies: dict[int, Reply] = {}
        async for event in self.events():
            if isinstance(event, EndEvent):
                replies[event.index] = event.reply
        return [replies[index] for index in range(len(self._streams))]

    async def _of(self, index: int) -> AsyncGenerator[Event, None]:
        """Events of one reply."""
        stream = self._streams[index]
        while (text := await stream.anext()) is not None:
            yield TextEvent(index, text, self._logprobs_of(index))
        if rest := self._logprobs_of(index):
            yield TextEvent(index, "", rest)
        yield EndEvent(index, stream.reply)

    async def _merged(self) -> AsyncGenerator[Event, None]:
        """Events of all replies, each read by a task of its own."""
        queue: asyncio.Queue[Event | BaseException] = asyncio.Queue(_BUFFERED_EVENTS)
        readers = [asyncio.create_task(self._read(index, queue)) for index in range(len(self._streams))]
        left = len(readers)
        try:
            while left:
                event = await queue.get()
                if isinstance(event, BaseException):
                    raise event
                left -= isinstance(event, EndEvent)
                yield event
        finally:
            for reader in readers:
                reader.cancel()

    async def _read(self, index: int, queue: asyncio.Queue[Event | BaseException]) -> None:
        try:
            async for event in self._of(index):
                await queue.put(event)
        except Exception as error:  # noqa: BLE001  the reader of the events is who should see it
            await queue.put(error)

    def _logprobs_of(self, index: int) -> Sequence[TokenLogprob]:
        """Log probabilities of reply `index` since the last call."""
        found = self._streams[index].logprobs[self._n_logprobs[index] :]
        self._n_logprobs[index] += len(found)
        return found


def _all_streams(llm: SeaLLM, generations: Sequence[Generation]) -> list[Stream]:
    started: list[Stream] = []
    try:
        for generation in generations:
            started += _streams(llm, generation)
    except BaseException:
        for stream in started:
            stream.cancel()
        raise
    return started


def _streams(llm: SeaLLM, generation: Generation) -> list[Stream]:
    options = {**generation.sampling, **generation.form}
    if bias := options.get("logit_bias"):
        options["logit_bias"] = bias_of(bias, llm)
    prompt = generation.prompt
    if not generation.is_raw:
        return llm.stream_choices(prompt, generation.n, **options)
    seed = llm.sampling.replace(generation.sampling).seed
    seeds = [{} if seed is None else {"seed": seed + index} for index in range(generation.n)]
    return [llm.complete_stream(prompt, **{**options, **own}) for own in seeds]


def bias_of(given: Mapping[str, float], llm: SeaLLM) -> dict[str | int, float]:
    """Logit bias by token ids; a key that is no number is a text and stands for each of its tokens, as in llama.cpp."""
    found: dict[str | int, float] = {}
    for key, value in given.items():
        tokens = [key] if key.lstrip("-").isdecimal() else llm.tokenize(key)
        found |= dict.fromkeys(tokens, value)
    return found
