"""Turns of the page: a reply as server-sent events, stored in the history as it streams.

    {"type": "loading", "share": 0.4}            the model's load
    {"type": "prefill", "share": 0.7}            the prompt's prefill
    {"type": "start", "conversation": …, "messages": [user, reply]}     with the first text
    {"type": "delta", "text": "…"}
    {"type": "notice", "text": "…"}
    {"type": "end", "message": …, "context": {"tokens": …, "n_ctx": …}, "characters_per_second": …}
    {"type": "error", "code": "…", "message": "…"}                      in place of the end

A client that goes away ends the reply; its text so far is kept, as cut.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ...chat import Conversation, History
from ...chat.notices import Notice
from ...chat.personas import find_persona
from ...errors import HistoryError, InvalidOption
from ...llm import SeaLLM
from ..model_pool import LoadedModel, ModelPool
from ..problems import Problem, RequestRefused
from ..replying import Framing, Service, StreamedResponse, sse_frame
from ..wire import read
from . import shown
from .access import Histories

_LOOK_SECONDS = 0.2  # between two shares
_STOP_SECONDS, _STOP_LOOK_SECONDS = 5.0, 0.02  # until a client's leaving is noticed
Event = dict[str, Any]


class TurnSampling(msgspec.Struct, kw_only=True):
    """Options of the reply, those of `Sampling`."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    max_tokens: int | None = None
    seed: int | None = None


class TurnRequest(msgspec.Struct, kw_only=True):
    """Turn of a conversation, null for a new one.

    say       `text` behind the `message`, null: at the beginning
    edit      `text` in place of the user message `message`
    retry     another reply to the user message `message`
    continue  the rest of the reply `message`
    """

    action: Literal["say", "edit", "retry", "continue"] = "say"
    conversation: str | None = None
    message: int | None = None
    text: str = ""
    model: str | None = None
    persona: str | None = None
    system: str | None = None
    sampling: TurnSampling = msgspec.field(default_factory=TurnSampling)


class Turns:
    """Turns under way, one of each conversation at a time."""

    def __init__(self, service: Service, histories: Histories) -> None:
        self._service = service
        self._histories = histories
        self._busy: set[str] = set()

    async def begin(self, request: Request) -> Response:
        """Response to `POST /seallm/turns`."""
        asked = await read(request, TurnRequest)
        if asked.action in ("say", "edit") and not asked.text.strip():
            raise RequestRefused(400, "invalid_value", "the message is empty", "write something", param="text")
        history = await asyncio.to_thread(self._histories.of, request)
        await self._stopped(asked.conversation)
        with self._alone(asked.conversation):
            pass  # refused with a status while that can be told
        return StreamedResponse(self._events(asked, history), _FRAMING, contextlib.AsyncExitStack())

    async def _events(self, asked: TurnRequest, history: History) -> AsyncGenerator[Event, None]:
        with self._alone(asked.conversation):
            async with contextlib.AsyncExitStack() as held:
                used: LoadedModel | None = None
                async with contextlib.aclosing(_loaded(self._service.pool, asked.model, held)) as shares:
                    async for found in shares:
                        if isinstance(found, LoadedModel):
                            used = found
                        else:
                            yield {"type": "loading", "share": round(found, 3)}
                assert used
                turn = RunningTurn(asked, history, self._histories.unsaved(history), used.llm)
                async with contextlib.aclosing(turn.events()) as events:
                    async for event in events:
                        id_ = turn.conversation_id
                        if id_ and id_ not in self._busy:  # a new conversation, which others can open
                            self._busy.add(id_)
                            held.callback(self._busy.discard, id_)
                        yield event

    async def _stopped(self, conversation: str | None) -> None:
        """Give a reply that its client has just stopped the time to end."""
        tries = round(_STOP_SECONDS / _STOP_LOOK_SECONDS)
        while conversation in self._busy and (tries := tries - 1) >= 0:
            await asyncio.sleep(_STOP_LOOK_SECONDS)

    @contextlib.contextmanager
    def _alone(self, conversation: str | None) -> Generator[None, None, None]:
        if conversation is None:
            yield
            return
        if conversation in self._busy:
            raise RequestRefused(
                409, "reply_under_way", "a reply of this conversation is under way", "wait, or stop it"
            )
        self._busy.add(conversation)
        try:
            yield
        finally:
            self._busy.discard(conversation)


class RunningTurn:
    """Turn that a thread reads and stores; leaving its events ends it. A conversation whose history file fails is kept
    in `unsaved`.
    """

    def __init__(self, asked: TurnRequest, history: History, unsaved: dict[str, Conversation], llm: SeaLLM) -> None:
        self._asked = asked
        self._history = history
        self._unsaved = unsaved
        self._llm = llm
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._conversation: Conversation | None = None
        self._is_cancelled = self._has_text = False

    @property
    def conversation_id(self) -> str:
        """Id of the conversation; "" before a new one is stored."""
        return self._conversation.id if self._conversation else ""

    async def events(self) -> AsyncGenerator[Event, None]:
        """Events of the turn. Raises the errors of `SeaLLM.stream`, InvalidOption and HistoryError."""
        thread = asyncio.ensure_future(asyncio.to_thread(self._run))
        thread.add_done_callback(lambda _: self._queue.put_nowait(None))
        share = -1.0
        try:
            while True:
                try:
                    async with asyncio.timeout(_LOOK_SECONDS):
                        event = await self._queue.get()
                except TimeoutError:
                    now = self._conversation.prompt_share if self._conversation else None
                    if now is not None and now > share:
                        share = now
                        yield {"type": "prefill", "share": round(now, 3)}
                    continue
                if event is None:
                    thread.result()
                    return
                yield event
        finally:
            self._is_cancelled = True
            if self._conversation:
                self._conversation.cancel()
            if not thread.done():
                await asyncio.wait({thread})

    def _run(self) -> None:
        conversation = self._opened()
        leaf = conversation.stored_messages[-1].id if conversation.stored_messages else None
        try:
            self._stream(conversation)
        finally:
            if conversation.id and not self._has_text:
                with contextlib.suppress(HistoryError):  # it may be removed
                    conversation.stand_at(leaf)
            self._unsaved.pop(self._asked.conversation or "", None)
            if conversation.id and not conversation.is_saved:
                self._unsaved[conversation.id] = conversation
        self._put(self._end(conversation))

    def _stream(self, conversation: Conversation) -> None:
        deltas = self._deltas(conversation)
        self._conversation = conversation
        if self._is_cancelled:  # before there was a conversation to cancel
            conversation.cancel()
        for delta in deltas:
            if not self._has_text:
                self._has_text = True
                user, reply = conversation.stored_messages[-2:]
                before = replace(reply, content=reply.content[: -len(delta)])
                messages = [shown.message(user), shown.message(before)]
                self._put({"type": "start", "conversation": conversation.id, "messages": messages})
            self._put({"type": "delta", "text": delta})

    def _opened(self) -> Conversation:
        asked = self._asked
        given = {name: value for name, value in msgspec.structs.asdict(asked.sampling).items() if value is not None}
        given = {"max_tokens": None, **given}  # who reads along can stop it
        if unsaved := self._unsaved.get(asked.conversation or ""):
            unsaved.sampling, unsaved.on_notice = given, self._notice
            unsaved.change_model(self._llm)
            return unsaved
        if asked.conversation is not None:
            return Conversation.resume(
                self._llm, self._history, asked.conversation, sampling=given, on_notice=self._notice
            )
        system = asked.system or (find_persona(asked.persona).system if asked.persona else None)
        return Conversation(
            self._llm, system, given, history=self._history, persona=asked.persona, on_notice=self._notice
        )

    def _deltas(self, conversation: Conversation) -> Generator[str, None, None]:
        """The reply, under way."""
        asked = self._asked
        if asked.action == "say":
            if conversation.id:
                conversation.stand_at(asked.message)
            return conversation.say(asked.text)
        if asked.message is None or not conversation.id:
            raise InvalidOption(f"to {asked.action} needs a message of a conversation", "give the ids of both")
        conversation.stand_at(asked.message)
        if asked.action == "edit":
            if conversation.stored_messages[-1].role != "user":
                raise InvalidOption(f"message {asked.message} is a reply", "edit a message of the user")
            return conversation.edit(asked.text)
        return conversation.retry() if asked.action == "retry" else conversation.go_on()

    def _end(self, conversation: Conversation) -> Event:
        reply, messages = conversation.last_reply, conversation.stored_messages
        event: Event = {"type": "end", "conversation": conversation.id or None, "message": None}
        if reply and messages:
            context = conversation.context()
            event |= {
                "message": shown.message(messages[-1]),
                "context": {"tokens": context.n_tokens, "n_ctx": context.n_ctx},
                "characters_per_second": round(reply.characters_per_second, 1),
                "finish_reason": reply.finish_reason,
            }
        return event

    def _notice(self, notice: Notice) -> None:
        self._put({"type": "notice", "kind": type(notice).__name__, "text": str(notice)})

    def _put(self, event: Event) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, event)


async def _loaded(
    pool: ModelPool, model: str | None, held: contextlib.AsyncExitStack
) -> AsyncGenerator[float | LoadedModel, None]:
    """Shares of a model's load, and at last the model, which `held` releases."""
    entering = asyncio.ensure_future(held.enter_async_context(pool.use(model)))
    try:
        while not entering.done():
            await asyncio.wait({entering}, timeout=_LOOK_SECONDS)
            if not entering.done():
                yield pool.load_share or 0.0
        yield entering.result()
    finally:
        if not entering.done():
            entering.cancel()
            await asyncio.wait({entering})


def _error_frame(problem: Problem) -> bytes:
    return sse_frame({"type": "error", "status": problem.status, "code": problem.code, "message": problem.message})


_FRAMING = Framing("text/event-stream", sse_frame, _error_frame, alive=b": waiting\n\n")
