"""Fields of OpenAI's requests → options of `SeaLLM`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..prompt.chatml import Message
from .content import role_of, text_of
from .fields import same_named, seed_of
from .function_tools import tools_of
from .openai_types import ChatMessage, ChatRequest, ResponseFormat, SamplingFields
from .problems import RequestRefused
from .tools import ToolCall, ToolResult, ToolUse, call_message, with_results

_SAME_NAME = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty", "logit_bias", "stop")


def sampling_of(fields: SamplingFields, max_tokens: int | None) -> dict[str, Any]:
    """Sampling options. Without `max_tokens`, a reply may fill the context, as these clients expect."""
    return {**same_named(fields, _SAME_NAME), **seed_of(fields.seed, lowest=0), "max_tokens": max_tokens}


def form_of(response_format: ResponseFormat | None, grammar: str | None) -> dict[str, Any]:
    """`schema` or `grammar` of a response format. Raises RequestRefused for a schema that is missing."""
    if grammar:
        return {"grammar": grammar}
    if response_format is None or response_format.type == "text":
        return {}
    if response_format.type == "json_object":
        return {"schema": {"type": "object"}}
    found = response_format.json_schema
    if found is None or found.schema is None:
        raise RequestRefused(
            400, "missing_schema", "response_format has no schema", 'give "json_schema": {"schema": {…}}',
            param="response_format.json_schema.schema",
        )  # fmt: skip
    return {"schema": found.schema}


def messages_of(messages: Sequence[ChatMessage]) -> list[Message]:
    """Messages in our roles. Raises InvalidOption for an unknown role, RequestRefused for pictures and sound."""
    return with_results(map(_message_of, messages))


def _message_of(one: ChatMessage) -> Message | ToolResult:
    text = text_of(one.content)
    if one.role in ("tool", "function"):
        return ToolResult(text)
    if one.tool_calls:
        return call_message(text, [ToolCall(call.function.name, call.function.arguments) for call in one.tool_calls])
    return Message(role_of(one.role), text)


def tool_use_of(asked: ChatRequest) -> ToolUse | None:
    """Tool use of a request. Raises RequestRefused."""
    given = asked.tool_choice or "auto"
    choice, name = (given, "") if isinstance(given, str) else ("named", given.wanted)
    return ToolUse.chosen(tools_of(asked.tools), choice, name, is_parallel=asked.parallel_tool_calls is not False)
