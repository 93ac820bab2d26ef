"""Anthropic's protocol: messages, whole or as named events, and token counts."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..llm import SeaLLM
from ..prompt.chatml import Message
from ..reply import Reply
from .anthropic_types import AnthropicMessage, CountRequest, MessagesRequest, ToolChoice
from .content import text_of
from .fields import same_named
from .generation import EndEvent, Event, Generation
from .problems import Problem
from .replying import Framing, Service, named_frame
from .tools import CallBegins, CallParser, Part, Tool, ToolCall, ToolResult, ToolUse, call_message, compact, parsed
from .wire import json_response, read

PREFIX = "/v1/messages"
_KINDS = {
    401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large",
    429: "rate_limit_error", 503: "overloaded_error",
}  # fmt: skip
_NO_TEXT = ("tool_use", "tool_result", "thinking", "redacted_thinking")
_SAME_NAME = ("temperature", "top_p", "top_k")


def error_body(problem: Problem) -> dict[str, Any]:
    """Body of a refusal."""
    kind = _KINDS.get(problem.status) or ("api_error" if problem.status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": problem.message}}


FRAMING = Framing(
    "text/event-stream; charset=utf-8",
    named_frame,
    error=lambda problem: named_frame(error_body(problem)),
    alive=named_frame({"type": "ping"}),
)


class AnthropicRoutes:
    """Anthropic's protocol."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Routes of the protocol."""
        return [
            Route(PREFIX, self._messages, methods=["POST"]),
            Route(f"{PREFIX}/count_tokens", self._count, methods=["POST"]),
        ]

    async def _messages(self, request: Request) -> Response:
        asked = await read(request, MessagesRequest)
        tools = tool_use_of(asked)
        generation = generation_of(asked, options_of(asked), tools)
        n_prompt = await self._count_tokens(request, asked, generation) if asked.stream else 0
        answer = MessageAnswer(n_prompt, has_tools=tools is not None)
        if asked.stream:
            return await self._service.stream(request, asked.model, generation, answer.events, FRAMING)
        replies, name = await self._service.read(request, asked.model, generation)
        return json_response(answer.whole(replies[0], name))

    async def _count(self, request: Request) -> Response:
        asked = await read(request, CountRequest)
        generation = generation_of(asked, {}, tool_use_of(asked))
        return json_response({"input_tokens": await self._count_tokens(request, asked, generation)})

    async def _count_tokens(self, request: Request, asked: CountRequest, generation: Generation) -> int:
        def tokens(llm: SeaLLM) -> int:
            return llm.count_tokens(generation.prompt)

        return await self._service.with_model(request, asked.model, tokens)


def tool_use_of(asked: CountRequest) -> ToolUse | None:
    """Tool use of a request; tools without a schema are left out. Raises RequestRefused."""
    tools = [
        Tool(one.name, one.description or "", one.input_schema)
        for one in asked.tools or []
        if one.input_schema is not None
    ]
    given = asked.tool_choice or ToolChoice()
    choice = "named" if given.type == "tool" else given.type
    return ToolUse.chosen(tools, choice, given.name, is_parallel=not given.disable_parallel_tool_use)


def generation_of(asked: CountRequest, options: dict[str, Any], tools: ToolUse | None) -> Generation:
    """The generation that a request asks for. Raises InvalidOption for an unknown role, RequestRefused for pictures."""
    system = text_of(asked.system)
    first = [Message("system", system)] if system else []
    form = {"schema": asked.output_config.format.schema} if asked.output_config and asked.output_config.format else {}
    generation = Generation([*first, *map(_message_of, asked.messages)], options, form)
    return tools.applied(generation, "output_config.format") if tools else generation


def _message_of(one: AnthropicMessage) -> Message:
    if isinstance(one.content, str):
        return Message(one.role, one.content)
    calls = [ToolCall(block.name, compact(block.input)) for block in one.content if block.type == "tool_use"]
    results = [ToolResult(text_of(block.content)).as_text() for block in one.content if block.type == "tool_result"]
    text = text_of([block for block in one.content if block.type not in _NO_TEXT])
    if calls:
        return call_message(text, calls)
    return Message(one.role, "\n".join([*results, *([text] if text or not results else [])]))


def options_of(asked: MessagesRequest) -> dict[str, Any]:
    """Sampling options."""
    return same_named(asked, _SAME_NAME) | {"max_tokens": asked.max_tokens, "stop": asked.stop_sequences or []}


class MessageAnswer:
    """Response to one request, whose prompt has `n_prompt` tokens: a stream says so at its beginning."""

    def __init__(self, n_prompt: int, *, has_tools: bool) -> None:
        self._n_prompt = n_prompt
        self._id = f"msg_{uuid.uuid4().hex}"
        self._has_tools = has_tools

    def whole(self, reply: Reply, model: str) -> dict[str, Any]:
        """The whole response."""
        text, calls = parsed(reply.text, has_tools=self._has_tools)
        content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        for call in calls:
            with contextlib.suppress(json.JSONDecodeError):  # a call that was cut
                content.append(_call_block(call, json.loads(call.arguments)))
        return self._message(model, content) | _stop(reply, has_calls=bool(calls)) | {"usage": _usage(reply)}

    async def events(self, events: AsyncIterator[Event], model: str) -> AsyncIterator[dict[str, Any]]:
        """Events of a stream: the message begins, its blocks with their deltas, its end with the figures."""
        yield {"type": "message_start", "message": self._message(model, [])}
        blocks = BlockEvents()
        parser = CallParser(has_tools=self._has_tools)
        async for event in events:
            if not isinstance(event, EndEvent):
                for found in blocks.of(parser.feed(event.text)):
                    yield found
                continue
            for found in (*blocks.of(parser.finish()), *blocks.end()):
                yield found
            end = _stop(event.reply, has_calls=parser.has_calls)
            yield {"type": "message_delta", "delta": end, "usage": _usage(event.reply)}
        yield {"type": "message_stop"}

    def _message(self, model: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": content,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": self._n_prompt, "output_tokens": 0},
        }


class BlockEvents:
    """Events of the blocks of a message: each begins, has deltas, and ends before the next."""

    def __init__(self) -> None:
        self._index = -1
        self._is_open = False

    def of(self, parts: Iterable[Part]) -> Iterator[dict[str, Any]]:
        """Events for parts of a reply."""
        for part in parts:
            if isinstance(part, CallBegins):
                yield from self._begin(_call_block(part.call, {}))
                continue
            if isinstance(part, str) and not self._is_open:
                yield from self._begin({"type": "text", "text": ""})
            delta = (
                {"type": "text_delta", "text": part}
                if isinstance(part, str)
                else {"type": "input_json_delta", "partial_json": part.text}
            )
            yield {"type": "content_block_delta", "index": self._index, "delta": delta}

    def end(self) -> Iterator[dict[str, Any]]:
        """End of the last block."""
        if self._is_open:
            yield {"type": "content_block_stop", "index": self._index}
            self._is_open = False

    def _begin(self, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from self.end()
        self._index += 1
        self._is_open = True
        yield {"type": "content_block_start", "index": self._index, "content_block": block}


def _call_block(call: ToolCall, arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id.replace("call_", "toolu_"), "name": call.name, "input": arguments}


def _stop(reply: Reply, *, has_calls: bool) -> dict[str, str | None]:
    """How a reply ended."""
    if reply.finish_reason == "length":
        reason = "max_tokens"
    elif reply.stop_text is not None:
        reason = "stop_sequence"
    else:
        reason = "tool_use" if has_calls else "end_turn"
    return {"stop_reason": reason, "stop_sequence": reply.stop_text}


def _usage(reply: Reply) -> dict[str, int]:
    """Token counts. `input_tokens` are those that were in no cache; all of them are in one afterwards."""
    usage = reply.usage
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": usage.reply_tokens,
    }
