"""`Service`: generations for the protocols, whole or as streams. A client that goes away ends its reply at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..errors import SeaLLMError
from ..llm import SeaLLM
from ..reply import Reply
from .generation import EndEvent, Event, Generation, Replies
from .model_pool import ModelPool
from .problems import Problem, problem_of
from .settings import ServerSettings
from .wire import encode

logger = logging.getLogger("seallm_edge")
T = TypeVar("T")
Chunks = Callable[[AsyncIterator[Event], str], AsyncIterator[Any]]
_SILENCE_SECONDS = 10.0  # after which a stream says that it lives: proxies close silent ones


@dataclass(frozen=True)
class Framing:
    """How a protocol writes the chunks of a stream."""

    media_type: str
    frame: Callable[[Any], bytes]
    error: Callable[[Problem], bytes]
    end: bytes = b""
    alive: bytes = b""


def sse_frame(value: Any) -> bytes:
    """Server-sent event without a name."""
    data = encode(value)
    return b"data: " + data + b"\n\n"


def named_frame(value: Any) -> bytes:
    """Server-sent event by the name of its `type`."""
    name: str = value["type"]
    return b"event: " + name.encode() + b"\ndata: " + encode(value) + b"\n\n"


class ClientGone(Exception):
    """The client of a request went away; nobody reads its response."""


class Service:
    """Models and settings of a server, as its protocols use them."""

    def __init__(self, pool: ModelPool, settings: ServerSettings) -> None:
        self.pool = pool
        self.settings = settings
        self.counts = Counts()

    async def read(
        self, request: Request, model: str | None, *generations: Generation, keep_alive: float | None = None
    ) -> tuple[list[Reply], str]:
        """Whole replies of all generations, and the model's name."""

        async def replies() -> tuple[list[Reply], str]:
            async with self.pool.use(model, keep_alive) as used:
                started = await Replies.start(used.llm, *generations)
                try:
                    found = await started.read()
                finally:
                    started.cancel()
                for reply in found:
                    self.counts.add(reply)
                return found, used.name

        return await unless_gone(request.receive, replies())

    async def with_model(
        self, request: Request, model: str | None, work: Callable[[SeaLLM], T], keep_alive: float | None = None
    ) -> T:
        """Result of `work` with a model, in a thread."""

        async def result() -> T:
            async with self.pool.use(model, keep_alive) as used:
                return await asyncio.to_thread(work, used.llm)

        return await unless_gone(request.receive, result())

    async def stream(
        self,
        request: Request,
        model: str | None,
        generation: Generation,
        chunks: Chunks,
        framing: Framing,
        keep_alive: float | None = None,
    ) -> Response:
        """Response with the chunks of a generation. Raises what starting it raises: then nothing was sent."""
        held = contextlib.AsyncExitStack()
        try:
            used = await unless_gone(request.receive, held.enter_async_context(self.pool.use(model, keep_alive)))
            replies = await Replies.start(used.llm, generation)
        except BaseException:
            await held.aclose()
            raise
        events = replies.events()
        held.callback(replies.cancel)
        held.push_async_callback(events.aclose)
        return StreamedResponse(chunks(self.counts.counted(events), used.name), framing, held)


class Counts:
    """Totals of the server's replies."""

    def __init__(self) -> None:
        self.prompt_tokens = self.reply_tokens = 0
        self.prefill_seconds = self.decode_seconds = 0.0

    def add(self, reply: Reply) -> None:
        """Count a whole reply."""
        self.prompt_tokens += reply.usage.prompt_tokens - reply.usage.cached_tokens
        self.reply_tokens += reply.usage.reply_tokens
        self.prefill_seconds += reply.timings.prefill_seconds
        self.decode_seconds += reply.timings.total_seconds - reply.timings.prefill_seconds

    async def counted(self, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
        """The events, whose replies are counted."""
        async for event in events:
            if isinstance(event, EndEvent):
                self.add(event.reply)
            yield event


class StreamedResponse(Response):
    """Response written as its chunks come. What `held` holds is released at its end, however it ends."""

    def __init__(self, chunks: AsyncIterator[Any], framing: Framing, held: contextlib.AsyncExitStack) -> None:
        super().__init__(None, 200, {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}, framing.media_type)
        del self.headers["content-length"]
        self._chunks = chunks
        self._framing = framing
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the chunks; end the generation if the client goes away."""
        try:
            await unless_gone(receive, self._write(send))
        except (ClientGone, OSError):
            logger.info("the client of a stream went away")
        finally:
            await self._held.aclose()

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        writer = _Writer(send)
        alive = asyncio.create_task(writer.keep_alive(self._framing.alive)) if self._framing.alive else None
        try:
            async for chunk in self._chunks:
                await writer.write(self._framing.frame(chunk))
            end = self._framing.end
        except SeaLLMError as error:
            end = self._framing.error(problem_of(error))
        finally:
            if alive:
                alive.cancel()
            if isinstance(self._chunks, AsyncGenerator):
                await self._chunks.aclose()
        await writer.write(end, more=False)


class _Writer:
    """Body of a response, piece by piece."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._clock = asyncio.get_running_loop().time
        self._written_at = self._clock()

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """Write a piece."""
        self._written_at = self._clock()
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def keep_alive(self, data: bytes, seconds: float = _SILENCE_SECONDS) -> None:
        """Write `data` after each silence, until the task is cancelled."""
        while True:
            silence = self._clock() - self._written_at
            if silence >= seconds:
                await self.write(data)
            await asyncio.sleep(seconds - silence if silence < seconds else seconds)


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T] | Awaitable[T]) -> T:
    """Result of `work`, which is cancelled when the client goes away: then raises ClientGone."""
    task = asyncio.ensure_future(work)
    gone = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        for one in (task, gone):
            if not one.done():
                one.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await one


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
