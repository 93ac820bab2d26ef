"""Requests of Anthropic's protocol. Fields that are not here are ignored.

ref: the anthropic package, `types/message_create_params.py`
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from .content import ContentPart


class Block(ContentPart, kw_only=True):
    """Block of a message: text, a call (`id`, `name`, `input`), or the result of one (`content`)."""

    id: str = ""
    name: str = ""
    thinking: str = ""
    input: dict[str, Any] = msgspec.field(default_factory=dict)
    content: str | list[ContentPart] | None = None


class AnthropicMessage(Struct, kw_only=True):
    """Message of a request."""

    role: str
    content: str | list[Block]


class AnthropicTool(Struct, kw_only=True):
    """Tool; those without a schema are the provider's own."""

    name: str
    description: str | None = None
    input_schema: dict[str, Any] | None = None


class ToolChoice(Struct, kw_only=True):
    """Choice among the tools."""

    type: Literal["auto", "any", "tool", "none"] = "auto"
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class OutputFormat(Struct, kw_only=True):
    """Form of a reply: JSON of a schema."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(Struct, kw_only=True):
    """Options of a reply's form."""

    format: OutputFormat | None = None


class CountRequest(Struct, kw_only=True):
    """Body of POST /v1/messages/count_tokens."""

    messages: list[AnthropicMessage]
    model: str | None = None
    system: str | list[ContentPart] | None = None
    tools: list[AnthropicTool] | None = None
    tool_choice: ToolChoice | None = None
    output_config: OutputConfig | None = None


class MessagesRequest(CountRequest, kw_only=True):
    """Body of POST /v1/messages."""

    max_tokens: int
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
