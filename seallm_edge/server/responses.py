"""POST /v1/responses: OpenAI's responses, whole or as events. Nothing is stored: a request has its conversation."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..llm import SeaLLM
from ..prompt.chatml import Message
from ..reply import Reply
from .content import role_of, text_of
from .fields import same_named
from .generation import EndEvent, Event, Generation
from .openai_form import error_body
from .problems import Problem, RequestRefused
from .replying import Framing, Service, named_frame
from .responses_types import InputItem, InputRequest, NamedChoice, ResponsesRequest, ResponsesTool, TextFormat
from .tools import (
    NO_ARGUMENTS,
    CallBegins,
    CallParser,
    Part,
    Tool,
    ToolCall,
    ToolResult,
    ToolUse,
    call_message,
    parsed,
    with_results,
)
from .wire import json_response, read

_STATE = ("previous_response_id", "conversation", "background")


def _error_event(problem: Problem) -> bytes:
    return named_frame({"type": "error", **error_body(problem)["error"]})


FRAMING = Framing("text/event-stream; charset=utf-8", named_frame, error=_error_event, alive=b": still working\n\n")


async def responses(request: Request, service: Service) -> Response:
    """Answer a request. Raises RequestRefused for one that needs stored state."""
    asked = await read(request, ResponsesRequest)
    _refuse_state(asked)
    tools = tool_use_of(asked)
    answer = ResponsesAnswer(asked, tools)
    options = same_named(asked, ("temperature", "top_p")) | {"max_tokens": asked.max_output_tokens}
    generation = generation_of(asked, options, tools)
    if asked.stream:
        return await service.stream(request, asked.model, generation, answer.events, FRAMING)
    replies, name = await service.read(request, asked.model, generation)
    return json_response(answer.whole(replies[0], name))


async def input_tokens(request: Request, service: Service) -> Response:
    """Answer a request for the number of tokens of an input."""
    asked = await read(request, InputRequest)
    _refuse_state(asked)
    generation = generation_of(asked, {}, tool_use_of(asked))

    def tokens(llm: SeaLLM) -> int:
        return llm.count_tokens(generation.prompt)

    found = await service.with_model(request, asked.model, tokens)
    return json_response({"object": "response.input_tokens", "input_tokens": found})


def _refuse_state(asked: InputRequest) -> None:
    for name in _STATE:
        if getattr(asked, name, None):
            raise RequestRefused(
                400, "unsupported_value", f"{name} needs stored responses, and this server stores none",
                "send the whole conversation as input", param=name,
            )  # fmt: skip


def tool_use_of(asked: InputRequest) -> ToolUse | None:
    """Tool use of a request; tools of other types than functions are left out. Raises RequestRefused."""
    tools = [Tool(one.name, one.description or "", one.parameters or NO_ARGUMENTS) for one in _functions_of(asked)]
    given = asked.tool_choice or "auto"
    choice, name = ("named", given.name) if isinstance(given, NamedChoice) else (given, "")
    return ToolUse.chosen(tools, choice, name, is_parallel=asked.parallel_tool_calls is not False)


def _functions_of(asked: InputRequest) -> list[ResponsesTool]:
    return [one for one in asked.tools or [] if one.type == "function"]


def generation_of(asked: InputRequest, options: dict[str, Any], tools: ToolUse | None) -> Generation:
    """The generation that a request asks for. Raises InvalidOption, RequestRefused."""
    text = _format_of(asked)
    form = {} if text.type == "text" else {"schema": text.schema or {"type": "object"}}
    generation = Generation(messages_of(asked), options, form)
    return tools.applied(generation, "text.format") if tools else generation


def _format_of(asked: InputRequest) -> TextFormat:
    return (asked.text and asked.text.format) or TextFormat()


def messages_of(asked: InputRequest) -> list[Message]:
    """Messages of a request. Raises InvalidOption for an unknown role, RequestRefused for pictures and sound."""
    first = [Message("system", asked.instructions)] if asked.instructions else []
    if isinstance(asked.input, str | None):
        return [*first, Message("user", asked.input or "")]
    return [*first, *with_results(found for item in asked.input if (found := _message_of(item)))]


def _message_of(item: InputItem) -> Message | ToolResult | None:
    if item.type == "function_call":
        return call_message("", [ToolCall(item.name, item.arguments)])
    if item.type == "function_call_output":
        return ToolResult(text_of(item.output))
    return Message(role_of(item.role), text_of(item.content)) if item.type == "message" else None


class ResponsesAnswer:
    """Response to one request."""

    def __init__(self, asked: ResponsesRequest, tools: ToolUse | None) -> None:
        self._has_tools = tools is not None
        self._common = {
            "id": f"resp_{uuid.uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "error": None,
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "metadata": asked.metadata or {},
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "previous_response_id": None,
            "store": False,
            "temperature": asked.temperature,
            "tool_choice": asked.tool_choice or "auto",
            "tools": _functions_of(asked),
            "top_p": asked.top_p,
            "background": False,
            "prompt_cache_key": asked.prompt_cache_key,
            "safety_identifier": asked.safety_identifier,
            "text": {"format": _format_of(asked).as_dict()},
            "truncation": "disabled",
            "user": asked.user,
        }

    def whole(self, reply: Reply, model: str) -> dict[str, Any]:
        """The whole response."""
        text, calls = parsed(reply.text, has_tools=self._has_tools)
        items = [*([_message_item(text, "completed")] if text or not calls else []), *map(_call_item, calls)]
        return self._response(model, items, reply)

    async def events(self, events: AsyncIterator[Event], model: str) -> AsyncIterator[dict[str, Any]]:
        """Events of a stream, numbered."""
        number = 0
        async for event in self._unnumbered(events, model):
            yield event | {"sequence_number": number}
            number += 1

    async def _unnumbered(self, events: AsyncIterator[Event], model: str) -> AsyncIterator[dict[str, Any]]:
        for kind in ("created", "in_progress"):
            yield {"type": f"response.{kind}", "response": self._response(model, [], None)}
        items, parser = ItemEvents(), CallParser(has_tools=self._has_tools)
        async for event in events:
            if not isinstance(event, EndEvent):
                for found in items.of(parser.feed(event.text)):
                    yield found
                continue
            for found in (*items.of(parser.finish()), *items.end()):
                yield found
            kind = "incomplete" if event.reply.finish_reason == "length" else "completed"
            yield {"type": f"response.{kind}", "response": self._response(model, items.done, event.reply)}

    def _response(self, model: str, items: list[dict[str, Any]], reply: Reply | None) -> dict[str, Any]:
        is_cut = reply is not None and reply.finish_reason == "length"
        return self._common | {
            "model": model,
            "status": "in_progress" if reply is None else "incomplete" if is_cut else "completed",
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "output": items,
            "usage": None if reply is None else _usage(reply),
        }


class ItemEvents:
    """Events of the items of a response: each begins, has deltas, and ends before the next. `done` has whole items."""

    def __init__(self) -> None:
        self.done: list[dict[str, Any]] = []
        self._item: dict[str, Any] | None = None
        self._text = ""

    def of(self, parts: Iterable[Part]) -> Iterator[dict[str, Any]]:
        """Events for parts of a reply."""
        for part in parts:
            if isinstance(part, CallBegins):
                yield from self._begin(_call_item(part.call))
                continue
            if isinstance(part, str) and self._item is None:
                yield from self._begin(_message_item("", "in_progress"))
            text = part if isinstance(part, str) else part.text
            self._text += text
            kind = "output_text" if isinstance(part, str) else "function_call_arguments"
            yield {"type": f"response.{kind}.delta", **self._place(), "delta": text}

    def end(self) -> Iterator[dict[str, Any]]:
        """End of the last item."""
        item, text = self._item, self._text
        if item is None:
            return
        if item["type"] == "message":
            part = _text_part(text)
            yield {"type": "response.output_text.done", **self._place(), "text": text, "logprobs": []}
            yield {"type": "response.content_part.done", **self._place(), "part": part}
            item = item | {"status": "completed", "content": [part]}
        else:
            item = item | {"status": "completed", "arguments": text}
            yield {"type": "response.function_call_arguments.done", **self._place(), "arguments": text}
        yield {"type": "response.output_item.done", "output_index": len(self.done), "item": item}
        self.done.append(item)
        self._item, self._text = None, ""

    def _begin(self, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from self.end()
        self._item = item
        shown = item | {"status": "in_progress"} | ({"content": []} if item["type"] == "message" else {})
        yield {"type": "response.output_item.added", "output_index": len(self.done), "item": shown}
        if item["type"] == "message":
            yield {"type": "response.content_part.added", **self._place(), "part": _text_part("")}

    def _place(self) -> dict[str, Any]:
        item = self._item or {}
        place = {"item_id": item.get("id"), "output_index": len(self.done)}
        return place | ({"content_index": 0} if item.get("type") == "message" else {})


def _message_item(text: str, status: str) -> dict[str, Any]:
    content = [_text_part(text)]
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call_item(call: ToolCall) -> dict[str, Any]:
    return {
        "id": f"fc_{uuid.uuid4().hex}",
        "type": "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
    }


def _usage(reply: Reply) -> dict[str, Any]:
    usage = reply.usage
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.prompt_tokens - usage.cached_tokens,
        },
        "output_tokens": usage.reply_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.reply_tokens,
    }
