"""Fields of OpenAI's requests → options of `SeaLLM`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..prompt.chatml import Message
from .content import role_of, text_of
from .fields import same_named, seed_of
from .function_tools import tool_of, tools_of
from .openai_types import ChatMessage, ChatRequest, NamedFunction, NamedTool, ResponseFormat, SamplingFields
from .problems import RequestRefused
from .tools import ToolCall, ToolResult, ToolUse, call_message, with_results

_SAME_NAME = (
    "temperature", "top_p", "top_k", "min_p", "repeat_penalty", "repeat_last_n", "presence_penalty",
    "frequency_penalty", "logit_bias", "stop",
)  # fmt: skip


def sampling_of(fields: SamplingFields, max_tokens: int | None) -> dict[str, Any]:
    """Sampling options. Without `max_tokens`, a reply may fill the context, as these clients expect."""
    return {**same_named(fields, _SAME_NAME), **seed_of(fields.seed, lowest=0), "max_tokens": max_tokens}


def form_of(fields: SamplingFields, response_format: ResponseFormat | None = None) -> dict[str, Any]:
    """`schema` or `grammar` of a request. Raises RequestRefused for a schema that is missing."""
    if fields.grammar:
        return {"grammar": fields.grammar}
    if fields.json_schema is not None:
        return {"schema": fields.json_schema}
    if response_format is None or response_format.type == "text":
        return {}
    if response_format.type == "json_object":
        return {"schema": {"type": "object"} if response_format.schema is None else response_format.schema}
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
    called = [call.function for call in one.tool_calls or []] or [one.function_call]
    if calls := [ToolCall(function.name, function.arguments) for function in called if function]:
        return call_message(text, calls)
    return Message(role_of(one.role), text)


def tool_use_of(asked: ChatRequest) -> ToolUse | None:
    """Tool use of a request; `functions` are the earlier form of tools. Raises RequestRefused."""
    if has_functions(asked):
        choice, name = _choice_of(asked.function_call)
        return ToolUse.chosen([*map(tool_of, asked.functions or [])], choice, name, is_parallel=False)
    choice, name = _choice_of(asked.tool_choice)
    return ToolUse.chosen(tools_of(asked.tools), choice, name, is_parallel=asked.parallel_tool_calls is not False)


def has_functions(asked: ChatRequest) -> bool:
    """Whether a request has functions in the earlier form, and its response calls them in that form."""
    return bool(asked.functions) and not asked.tools


def _choice_of(given: str | NamedTool | NamedFunction | None) -> tuple[str, str]:
    """(choice, name) of a tool choice."""
    if isinstance(given, NamedTool):
        return "named", given.wanted
    return ("named", given.name) if isinstance(given, NamedFunction) else (given or "auto", "")
