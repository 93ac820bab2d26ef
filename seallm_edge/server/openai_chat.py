"""POST /v1/chat/completions: OpenAI's chat, whole or as a stream."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .. import __version__
from ..reply import Reply, TokenLogprob, Usage
from .generation import EndEvent, Event, Generation
from .logprobs import logprobs_of
from .openai_form import FRAMING
from .openai_options import form_of, has_functions, messages_of, sampling_of, tool_use_of
from .openai_types import ChatRequest
from .replying import Service
from .tools import CallBegins, CallParser, Part, ToolCall, ToolUse, parsed
from .wire import json_response, read

FINGERPRINT = f"seallm-edge-{__version__}"


async def chat_completions(request: Request, service: Service) -> Response:
    """Answer a chat request."""
    asked = await read(request, ChatRequest)
    tools = tool_use_of(asked)
    generation, answer = generation_of(asked, tools), ChatAnswer(asked, has_tools=tools is not None)
    if asked.stream:
        return await service.stream(request, asked.model, generation, answer.chunks, FRAMING)
    replies, name = await service.read(request, asked.model, generation)
    return json_response(answer.whole(replies, name))


def generation_of(asked: ChatRequest, tools: ToolUse | None) -> Generation:
    """The generation that a request asks for. Raises InvalidOption, RequestRefused."""
    most = asked.max_tokens if asked.max_completion_tokens is None else asked.max_completion_tokens
    options = sampling_of(asked, most)
    if asked.logprobs:
        options["logprobs"] = asked.top_logprobs or 0
    form = form_of(asked, asked.response_format)
    generation = Generation(messages_of(asked.messages), options, form, n=asked.n or 1)
    return tools.applied(generation, "response_format") if tools else generation


class ChatAnswer:
    """Response to one request: its id and time, the same in all chunks."""

    def __init__(self, asked: ChatRequest, *, has_tools: bool) -> None:
        self._n = asked.n or 1
        self._has_tools = has_tools
        self._has_functions = has_functions(asked)
        self._has_logprobs = bool(asked.logprobs)
        self._has_usage = bool(asked.stream_options and asked.stream_options.include_usage)
        self._common = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "system_fingerprint": FINGERPRINT,
        }

    def whole(self, replies: Sequence[Reply], model: str) -> dict[str, Any]:
        """The whole response."""
        return self._common | {
            "object": "chat.completion",
            "model": model,
            "choices": [self._whole_choice(index, reply) for index, reply in enumerate(replies)],
            "usage": usage_of([reply.usage for reply in replies]),
            "timings": timings_of(replies[0]),
        }

    async def chunks(self, events: AsyncIterator[Event], model: str) -> AsyncIterator[dict[str, Any]]:
        """Chunks of a stream: the role alone, deltas, an end for each choice, the usage if it was requested."""
        common = self._common | {"object": "chat.completion.chunk", "model": model}
        if self._has_usage:
            common["usage"] = None
        for index in range(self._n):
            yield common | {"choices": [_choice(index, {"role": "assistant"})]}
        usages = []
        parsers = [CallParser(has_tools=self._has_tools) for _ in range(self._n)]
        async for event in events:
            parser = parsers[event.index]
            if isinstance(event, EndEvent):
                for part in parser.finish():
                    yield common | {"choices": [_choice(event.index, self._delta(part))]}
                usages.append(event.reply.usage)
                end = self._finish_reason(event.reply, has_calls=parser.has_calls)
                figures = {"timings": timings_of(event.reply)} if len(usages) == self._n else {}
                yield common | {"choices": [_choice(event.index, {}, finish=end)]} | figures
                continue
            deltas = [*map(self._delta, parser.feed(event.text))] or ([{}] if event.logprobs else [])
            for number, delta in enumerate(deltas):
                logprobs = self._logprobs(event.logprobs) if number == 0 else None
                yield common | {"choices": [_choice(event.index, delta, logprobs)]}
        if self._has_usage:
            yield common | {"choices": [], "usage": usage_of(usages)}

    def _whole_choice(self, index: int, reply: Reply) -> dict[str, Any]:
        text, calls = parsed(reply.text, has_tools=self._has_tools)
        message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None, "refusal": None}
        if calls and self._has_functions:
            message["function_call"] = _call(calls[0])["function"]
        elif calls:
            message["tool_calls"] = [_call(call) for call in calls]
        return {
            "index": index,
            "message": message,
            "logprobs": self._logprobs(reply.logprobs),
            "finish_reason": self._finish_reason(reply, has_calls=bool(calls)),
        }

    def _finish_reason(self, reply: Reply, *, has_calls: bool) -> str:
        found = finish_reason(reply, has_calls=has_calls)
        return "function_call" if found == "tool_calls" and self._has_functions else found

    def _delta(self, part: Part) -> dict[str, Any]:
        """Delta of a message for a part of its text."""
        if isinstance(part, str):
            return {"content": part}
        call = _call(part.call) if isinstance(part, CallBegins) else {"function": {"arguments": part.text}}
        if self._has_functions:
            return {"function_call": call["function"]}
        return {"tool_calls": [{"index": part.number, **call}]}

    def _logprobs(self, logprobs: Sequence[TokenLogprob]) -> dict[str, Any] | None:
        if not self._has_logprobs:
            return None
        return {"content": logprobs_of(logprobs)}


def finish_reason(reply: Reply, *, has_calls: bool = False) -> str:
    """OpenAI's word for how a reply ended."""
    if reply.finish_reason == "length":
        return "length"
    return "tool_calls" if has_calls else "stop"


def usage_of(usages: Iterable[Usage]) -> dict[str, Any]:
    """Token counts; the prompt of several choices counts once."""
    found = list(usages)
    prompt, written = found[0].prompt_tokens, sum(usage.reply_tokens for usage in found)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": found[0].cached_tokens},
    }


def timings_of(reply: Reply) -> dict[str, float]:
    """Timings by llama.cpp's names, in milliseconds and tokens a second."""
    prefill = reply.timings.prefill_seconds
    decode = max(reply.timings.total_seconds - prefill, 1e-9)
    n_prompt = reply.usage.prompt_tokens - reply.usage.cached_tokens
    return {
        "cache_n": reply.usage.cached_tokens,
        "prompt_n": n_prompt,
        "prompt_ms": round(prefill * 1e3, 3),
        "prompt_per_second": round(n_prompt / max(prefill, 1e-9), 2),
        "predicted_n": reply.usage.reply_tokens,
        "predicted_ms": round(decode * 1e3, 3),
        "predicted_per_second": round(reply.usage.reply_tokens / decode, 2),
    }


def _choice(
    index: int, delta: dict[str, Any], logprobs: dict[str, Any] | None = None, finish: str | None = None
) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
