"""POST /api/chat and /api/generate: Ollama's replies, as lines of JSON or as one."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..prompt.chatml import Message
from ..reply import Reply, TokenLogprob
from .fields import same_named, seed_of
from .function_tools import tools_of
from .generation import EndEvent, Event, Generation
from .logprobs import logprobs_of
from .ollama_form import FRAMING
from .ollama_types import OllamaChat, OllamaGenerate, OllamaMessage, OllamaOptions, OllamaRequest
from .problems import RequestRefused, refuse_suffix
from .replying import Service
from .tools import CallParser, ToolCall, ToolResult, ToolUse, call_message, compact, parsed, with_results
from .wire import json_response, read

_SAME_NAME = (
    "temperature", "top_p", "top_k", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty", "stop",
)  # fmt: skip
_MAX_LAST_N = 1 << 30
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(-?\d+(?:\.\d+)?)(ms|s|m|h)")
Fill = Callable[[str, Sequence[ToolCall]], dict[str, Any]]  # text and calls → the fields that hold them


async def chat(request: Request, service: Service) -> Response:
    """Answer a chat request; one without messages loads or unloads the model."""
    asked = await read(request, OllamaChat)
    if not asked.messages:
        return await _load(request, service, asked, _as_message)
    if any(message.images for message in asked.messages):
        raise _no_images()
    generation = Generation(with_results(map(_message_of, asked.messages)), *_options(asked))
    if tools := ToolUse.chosen(tools_of(asked.tools), "auto"):
        generation = tools.applied(generation, "format")
    return await _answer(request, service, asked, generation, _as_message, has_tools=tools is not None)


async def generate(request: Request, service: Service) -> Response:
    """Answer a generate request: a prompt in the chat format, or raw; without a prompt, load or unload the model."""
    asked = await read(request, OllamaGenerate)
    if not asked.prompt:
        return await _load(request, service, asked, _as_response)
    if asked.images:
        raise _no_images()
    refuse_suffix(asked.suffix)
    if asked.context:
        raise RequestRefused(
            400, "unsupported_value", "context is not read", "send the whole conversation to /api/chat", param="context"
        )
    options, form = _options(asked)
    if asked.raw:
        generation = Generation(asked.prompt, options, form, is_raw=True)
    else:
        system = [Message("system", asked.system)] if asked.system else []
        generation = Generation([*system, Message("user", asked.prompt)], options, form)
    return await _answer(request, service, asked, generation, _as_response)


async def _answer(
    request: Request,
    service: Service,
    asked: OllamaRequest,
    generation: Generation,
    fill: Fill,
    *,
    has_tools: bool = False,
) -> Response:
    keep_alive = seconds_of(asked.keep_alive)
    started = datetime.datetime.now(datetime.UTC)

    async def lines(events: AsyncIterator[Event], model: str) -> AsyncIterator[dict[str, Any]]:
        name, parser = asked.model or model, CallParser(has_tools=has_tools)
        left: list[TokenLogprob] = []  # of tokens whose text is not shown yet
        async for event in events:
            if not isinstance(event, EndEvent):
                left += event.logprobs
                for part in parser.feed(event.text):
                    if isinstance(part, str):
                        yield _line(name) | fill(part, []) | _logprobs(left) | {"done": False}
                        left.clear()
                continue
            for part in parser.finish():
                if isinstance(part, str):
                    yield _line(name) | fill(part, []) | {"done": False}
            if calls := parsed(event.reply.text, has_tools=has_tools)[1]:  # whole, as these clients expect
                yield _line(name) | fill("", calls) | {"done": False}
            yield _last(name, fill("", []), event.reply, started) | _logprobs(left)

    if asked.stream is not False:
        return await service.stream(request, asked.model, generation, lines, FRAMING, keep_alive)
    (reply,), name = await service.read(request, asked.model, generation, keep_alive=keep_alive)
    written = fill(*parsed(reply.text, has_tools=has_tools))
    return json_response(_last(asked.model or name, written, reply, started) | _logprobs(reply.logprobs))


async def _load(request: Request, service: Service, asked: OllamaRequest, fill: Fill) -> Response:
    """Load a model, or unload it where `keep_alive` is 0."""
    keep_alive = seconds_of(asked.keep_alive)
    if keep_alive == 0:
        await service.pool.unload(asked.model)
        reason = "unload"
    else:
        await service.with_model(request, asked.model, lambda llm: None, keep_alive)
        reason = "load"
    return json_response(_line(asked.model) | fill("", []) | {"done": True, "done_reason": reason})


def _options(asked: OllamaRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    """(sampling options, form) of a request. Raises RequestRefused."""
    options = sampling_of(asked.options or OllamaOptions())
    if asked.logprobs:
        options["logprobs"] = asked.top_logprobs or 0
    return options, form_of(asked.format)


def sampling_of(given: OllamaOptions) -> dict[str, Any]:
    """Sampling options; without `num_predict` a reply may fill the context."""
    options = same_named(given, _SAME_NAME) | seed_of(given.seed, lowest=1)
    if given.repeat_last_n is not None:
        options["repeat_last_n"] = given.repeat_last_n if given.repeat_last_n >= 0 else _MAX_LAST_N
    options["max_tokens"] = given.num_predict if given.num_predict is not None and given.num_predict >= 0 else None
    return options


def form_of(given: str | dict[str, Any] | None) -> dict[str, Any]:
    """`schema` of a format. Raises RequestRefused for a word other than json."""
    if not given:
        return {}
    if isinstance(given, dict):
        return {"schema": given}
    if given != "json":
        raise RequestRefused(
            400, "invalid_value", f"format is {given!r:.40}", 'give "json" or a schema', param="format"
        )
    return {"schema": {"type": "object"}}


def seconds_of(keep_alive: float | str | None) -> float | None:
    """Seconds of a `keep_alive`: a number, or a text such as 5m; below 0 for ever. Raises RequestRefused."""
    if keep_alive is None:
        return None
    if isinstance(keep_alive, str):
        parts = _DURATION.findall(keep_alive)
        if keep_alive.lstrip("-").isdecimal():
            found = float(keep_alive)
        elif parts and "".join(map("".join, parts)) == keep_alive:
            found = sum(float(number) * _UNITS[unit] for number, unit in parts)
        else:
            raise RequestRefused(
                400, "invalid_value", f"keep_alive is {keep_alive!r:.40}", 'give seconds, or a text such as "5m"',
                param="keep_alive",
            )  # fmt: skip
    else:
        found = keep_alive
    return float("inf") if found < 0 else found


def _as_message(text: str, calls: Sequence[ToolCall]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        functions = [{"name": call.name, "arguments": _object_of(call.arguments)} for call in calls]
        message["tool_calls"] = [{"function": function} for function in functions]
    return {"message": message}


def _as_response(text: str, calls: Sequence[ToolCall]) -> dict[str, Any]:
    return {"response": text}


def _object_of(arguments: str) -> Any:
    """Arguments as an object; as their text where the reply was cut within them."""
    try:
        return json.loads(arguments)
    except json.JSONDecodeError:
        return arguments


def _message_of(one: OllamaMessage) -> Message | ToolResult:
    if one.role == "tool":
        return ToolResult(one.content)
    if one.tool_calls:
        calls = [ToolCall(each.function.name, compact(each.function.arguments)) for each in one.tool_calls]
        return call_message(one.content, calls)
    return Message(one.role, one.content)


def _logprobs(found: Sequence[TokenLogprob]) -> dict[str, Any]:
    return {"logprobs": logprobs_of(found)} if found else {}


def _line(model: str) -> dict[str, Any]:
    return {"model": model, "created_at": datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")}


def _last(model: str, text: dict[str, Any], reply: Reply, started: datetime.datetime) -> dict[str, Any]:
    """The last line: how the reply ended, and its figures in nanoseconds."""
    timings, usage = reply.timings, reply.usage
    total = (datetime.datetime.now(datetime.UTC) - started).total_seconds()
    return _line(model) | text | {
        "done": True,
        "done_reason": "length" if reply.finish_reason == "length" else "stop",
        "total_duration": _ns(total),
        "load_duration": _ns(max(total - timings.total_seconds, 0.0)),
        "prompt_eval_count": usage.prompt_tokens,
        "prompt_eval_duration": _ns(timings.prefill_seconds),
        "eval_count": usage.reply_tokens,
        "eval_duration": _ns(timings.total_seconds - timings.prefill_seconds),
    }  # fmt: skip


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


def _no_images() -> RequestRefused:
    return RequestRefused(400, "unsupported_content", "these models read no pictures", "send text only", param="images")
