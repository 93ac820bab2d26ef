"""Requests of Ollama's protocol. Fields that are not here are ignored. ref: Ollama, docs/api.md"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from .function_tools import ToolDefinition


class OllamaFunction(Struct, kw_only=True):
    """Function of an earlier call."""

    name: str
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)


class OllamaCall(Struct, kw_only=True):
    """Call in an earlier message of the assistant."""

    function: OllamaFunction


class OllamaMessage(Struct, kw_only=True):
    """Message of a request."""

    role: str
    content: str = ""
    images: list[str] | None = None
    tool_calls: list[OllamaCall] | None = None


class OllamaOptions(Struct, kw_only=True):
    """Options of a request. `num_predict` and `repeat_last_n` below 0 stand for the context."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    repeat_last_n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: list[str] | str | None = None
    num_predict: int | None = None


class OllamaRequest(Struct, kw_only=True):
    """Fields of chat and generate. `format` is "json" or a schema; `keep_alive` is seconds, or a text such as 5m."""

    model: str = ""
    stream: bool | None = None
    format: str | dict[str, Any] | None = None
    options: OllamaOptions | None = None
    keep_alive: float | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class OllamaChat(OllamaRequest, kw_only=True):
    """Body of POST /api/chat."""

    messages: list[OllamaMessage] | None = None
    tools: list[ToolDefinition] | None = None


class OllamaGenerate(OllamaRequest, kw_only=True):
    """Body of POST /api/generate."""

    prompt: str = ""
    system: str | None = None
    suffix: str | None = None
    raw: bool | None = None
    context: list[int] | None = None
    images: list[str] | None = None


class OllamaName(Struct, kw_only=True):
    """Body that names a model: POST /api/show, DELETE /api/delete, POST /api/pull."""

    model: str = ""
    name: str = ""
    stream: bool | None = None

    @property
    def wanted(self) -> str:
        """The model's name, in its later or its earlier field."""
        return self.model or self.name
