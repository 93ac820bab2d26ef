"""POST /v1/completions: text continued, for one prompt or several, as texts or token ids."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..llm import SeaLLM
from ..reply import Reply, TokenLogprob
from .generation import EndEvent, Event, Generation
from .openai_chat import FINGERPRINT, finish_reason, timings_of, usage_of
from .openai_form import FRAMING
from .openai_options import form_of, sampling_of
from .openai_types import CompletionRequest
from .problems import RequestRefused, refuse_suffix
from .replying import Service
from .wire import json_response, read

_MAX_PROMPTS = 64
_DEFAULT_TOKENS = 16  # as OpenAI's


async def completions(request: Request, service: Service) -> Response:
    """Answer a completion request."""
    asked = await read(request, CompletionRequest)
    prompts = prompts_of(asked.prompt)
    options = sampling_of(asked, asked.max_tokens if asked.max_tokens is not None else _DEFAULT_TOKENS)
    if asked.logprobs is not None:
        options["logprobs"] = asked.logprobs
    if asked.echo and asked.logprobs is not None:
        raise RequestRefused(
            400, "unsupported_value", "echo with logprobs would need log probabilities of the prompt",
            "leave one of them out", param="echo",
        )  # fmt: skip
    refuse_suffix(asked.suffix)
    form = form_of(asked)
    generations = [Generation(prompt, options, form, n=asked.n or 1, is_raw=True) for prompt in prompts]
    echoed = await _echoed(request, service, asked, prompts)
    answer = CompletionAnswer(asked, echoed)
    if not asked.stream:
        replies, name = await service.read(request, asked.model, *generations)
        return json_response(answer.whole(replies, name))
    if len(generations) > 1:
        raise RequestRefused(
            400, "unsupported_value", "a stream takes one prompt", "send one prompt a request", param="prompt"
        )
    return await service.stream(request, asked.model, generations[0], answer.chunks, FRAMING)


async def _echoed(
    request: Request, service: Service, asked: CompletionRequest, prompts: Sequence[str | list[int]]
) -> list[str]:
    """Text of each prompt where the request wants it back, else ""."""
    if not asked.echo:
        return [""] * len(prompts)

    def texts(llm: SeaLLM) -> list[str]:
        return [prompt if isinstance(prompt, str) else llm.detokenize(prompt) for prompt in prompts]

    return await service.with_model(request, asked.model, texts)


def prompts_of(prompt: str | list[str | int | list[int]] | None) -> list[str | list[int]]:
    """Prompts of a request: texts, or lists of token ids. Raises RequestRefused for none, too many, or a mixture."""
    if isinstance(prompt, str | None):
        return [prompt or ""]
    tokens = [item for item in prompt if isinstance(item, int)]
    if tokens and len(tokens) == len(prompt):
        return [tokens]
    prompts = [item for item in prompt if not isinstance(item, int)]
    if not 0 < len(prompts) <= _MAX_PROMPTS or len(prompts) < len(prompt):
        problem = f"prompt has {len(prompts)} prompts and {len(tokens)} token ids"
        hint = f"send a text, token ids, or a list of 1 to {_MAX_PROMPTS} of either"
        raise RequestRefused(400, "invalid_value", problem, hint, param="prompt")
    return prompts


class CompletionAnswer:
    """Response to one request. `echoed` has what comes before the text of each prompt's choices."""

    def __init__(self, asked: CompletionRequest, echoed: Sequence[str]) -> None:
        self._n = asked.n or 1
        self._has_logprobs = asked.logprobs is not None
        self._has_usage = bool(asked.stream_options and asked.stream_options.include_usage)
        self._echoed = echoed
        self._common = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "system_fingerprint": FINGERPRINT,
        }

    def whole(self, replies: Sequence[Reply], model: str) -> dict[str, Any]:
        """The whole response."""
        choices = []
        for index, reply in enumerate(replies):
            echoed = self._echoed[index // self._n]
            logprobs = self._logprobs(reply.logprobs, len(echoed))
            choices.append(_choice(index, echoed + reply.text, logprobs, finish_reason(reply)))
        firsts = [reply.usage for reply in replies[:: self._n]]
        usage = usage_of([reply.usage for reply in replies])
        usage["prompt_tokens"] = sum(each.prompt_tokens for each in firsts)
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
        return self._common | {
            "model": model,
            "choices": choices,
            "usage": usage,
            "timings": timings_of(replies[0]),
        }

    async def chunks(self, events: AsyncIterator[Event], model: str) -> AsyncIterator[dict[str, Any]]:
        """Chunks of a stream."""
        common = self._common | {"model": model}
        if self._has_usage:
            common["usage"] = None
        written = [len(self._echoed[0])] * self._n
        for index in range(self._n):
            if self._echoed[0]:
                yield common | {"choices": [_choice(index, self._echoed[0])]}
        usages = []
        async for event in events:
            if isinstance(event, EndEvent):
                usages.append(event.reply.usage)
                yield common | {"choices": [_choice(event.index, "", None, finish_reason(event.reply))]}
                continue
            logprobs = self._logprobs(event.logprobs, written[event.index])
            written[event.index] += len(event.text)
            yield common | {"choices": [_choice(event.index, event.text, logprobs)]}
        if self._has_usage:
            yield common | {"choices": [], "usage": usage_of(usages)}

    def _logprobs(self, logprobs: Sequence[TokenLogprob], offset: int) -> dict[str, Any] | None:
        if not self._has_logprobs:
            return None
        texts = [one.data.decode("utf-8", "replace") for one in logprobs]
        offsets = [offset + sum(map(len, texts[:index])) for index in range(len(texts))]
        return {
            "tokens": texts,
            "token_logprobs": [one.logprob for one in logprobs],
            "top_logprobs": [{top.data.decode("utf-8", "replace"): top.logprob for top in one.top} for one in logprobs],
            "text_offset": offsets,
        }


def _choice(index: int, text: str, logprobs: dict[str, Any] | None = None, finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}
