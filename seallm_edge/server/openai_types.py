"""Requests of OpenAI's protocol. Fields that are not here are ignored.

ref: the openai package, `types/chat/completion_create_params.py` and `types/completion_create_params.py`
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from .content import ContentPart
from .function_tools import FunctionDefinition, ToolDefinition


class CalledFunction(Struct, kw_only=True):
    """Function of an earlier call, with its arguments as the text of a JSON object."""

    name: str
    arguments: str = "{}"


class EarlierCall(Struct, kw_only=True):
    """Call in an earlier message of the assistant; those of other tools than functions are left out."""

    function: CalledFunction | None = None
    id: str = ""


class ChatMessage(Struct, kw_only=True):
    """Message of a request."""

    role: str
    content: str | list[ContentPart] | None = None
    tool_calls: list[EarlierCall] | None = None
    function_call: CalledFunction | None = None  # the earlier form of tool_calls


class NamedFunction(Struct, kw_only=True):
    """Function by name."""

    name: str


class NamedTool(Struct, kw_only=True):
    """Tool that has to be called."""

    type: str = "function"
    function: NamedFunction | None = None
    name: str | None = None

    @property
    def wanted(self) -> str:
        """The function's name, where chat or responses have it."""
        return (self.function.name if self.function else self.name) or ""


class JsonSchema(Struct, kw_only=True):
    """Schema of a response format."""

    name: str = ""
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ResponseFormat(Struct, kw_only=True):
    """Response format: text, a JSON object, or JSON of a schema. `schema` beside json_object is llama.cpp's."""

    type: Literal["text", "json_object", "json_schema"]
    schema: dict[str, Any] | None = None
    json_schema: JsonSchema | None = None


class StreamOptions(Struct, kw_only=True):
    """Options of a stream."""

    include_usage: bool | None = None


class SamplingFields(Struct, kw_only=True):
    """Sampling fields that chat and text completions share. Those from `top_k` on are ours, and
    llama.cpp's.
    """

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    logit_bias: dict[str, float] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    repeat_last_n: int | None = None
    grammar: str | None = None
    json_schema: dict[str, Any] | None = None


class ChatRequest(SamplingFields, kw_only=True):
    """Body of POST /v1/chat/completions."""

    messages: list[ChatMessage]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: ResponseFormat | None = None
    tools: list[ToolDefinition] | None = None
    tool_choice: str | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    functions: list[FunctionDefinition] | None = None  # the earlier form of tools
    function_call: str | NamedFunction | None = None


class CompletionRequest(SamplingFields, kw_only=True):
    """Body of POST /v1/completions."""

    prompt: str | list[str | int | list[int]] | None = None
    echo: bool | None = None
    suffix: str | None = None
    logprobs: int | None = None


class TokenizeRequest(Struct, kw_only=True):
    """Body of POST /tokenize."""

    content: str = ""
    model: str | None = None
    add_special: bool = False
    parse_special: bool = False
    with_pieces: bool = False


class DetokenizeRequest(Struct, kw_only=True):
    """Body of POST /detokenize."""

    tokens: list[int] = msgspec.field(default_factory=list)
    model: str | None = None
