"""Fields of OpenAI's requests → options of `SeaLLM`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..prompt.chatml import Message
from .openai_types import (
    ChatMessage,
    ChatRequest,
    ContentPart,
    NamedTool,
    ResponseFormat,
    SamplingFields,
    ToolDefinition,
)
from .problems import RequestRefused
from .tools import NO_ARGUMENTS, Tool, ToolCall, ToolUse, call_message, result_text

_MAX_SEED = (1 << 32) - 2
_ROLES = {"developer": "system"}
_SAME_NAME = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty", "logit_bias", "stop")


def sampling_of(fields: SamplingFields, max_tokens: int | None) -> dict[str, Any]:
    """Sampling options. Without `max_tokens`, a reply may fill the context, as these clients expect."""
    options = {name: value for name in _SAME_NAME if (value := getattr(fields, name)) is not None}
    options["max_tokens"] = max_tokens
    if fields.seed is not None and fields.seed >= 0:  # a negative one means: at random
        options["seed"] = fields.seed % (_MAX_SEED + 1)
    return options


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
    """Messages in our roles; results of calls that follow each other are one user message.

    Raises InvalidOption for an unknown role, RequestRefused for pictures and sound.
    """
    found: list[Message] = []
    follows_result = False
    for one in messages:
        text, is_result = text_of(one.content), one.role in ("tool", "function")
        if is_result:
            before = [found.pop().content] if follows_result else []
            found.append(Message("user", "\n".join([*before, result_text(text)])))
        elif one.tool_calls:
            calls = [ToolCall(call.function.name, call.function.arguments) for call in one.tool_calls]
            found.append(call_message(text, calls))
        else:
            found.append(Message(_ROLES.get(one.role, one.role), text))
        follows_result = is_result
    return found


def tools_of(given: Sequence[ToolDefinition] | None) -> list[Tool]:
    """Functions among the tools of a request."""
    return [
        Tool(one.function.name, one.function.description or "", one.function.parameters or NO_ARGUMENTS)
        for one in given or []
        if one.type == "function" and one.function
    ]


def tool_use_of(asked: ChatRequest) -> ToolUse | None:
    """Tool use of a request. Raises RequestRefused."""
    choice = asked.tool_choice or "auto"
    name = ""
    if isinstance(choice, NamedTool):
        name = (choice.function.name if choice.function else choice.name) or ""
        choice = "named"
    choice = {"any": "required"}.get(choice, choice)
    if choice not in ("none", "auto", "required", "named"):
        raise RequestRefused(
            400, "invalid_value", f"tool_choice is {choice!r:.40}", "give none, auto, required, or a function",
            param="tool_choice",
        )  # fmt: skip
    return ToolUse.chosen(tools_of(asked.tools), choice, name, is_parallel=asked.parallel_tool_calls is not False)


def text_of(content: str | Sequence[ContentPart] | None) -> str:
    """Text of a message's content. Raises RequestRefused for parts that are no text."""
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        if part.text is None:
            raise RequestRefused(
                400, "unsupported_content", f"a message has a part of type {part.type!r:.40}", "send text only",
                param="messages",
            )  # fmt: skip
    return "".join(part.text or "" for part in content)
