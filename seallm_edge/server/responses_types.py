"""Requests of OpenAI's responses. Fields that are not here are ignored.

ref: the openai package, `types/responses/response_create_params.py`
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from .content import ContentPart


class InputItem(Struct, kw_only=True):
    """Item of the input: a message, an earlier call, or the result of one; others are left out."""

    type: str = "message"
    role: str = "user"
    content: str | list[ContentPart] | None = None
    name: str = ""
    arguments: str = "{}"
    output: str | list[ContentPart] | None = None


class ResponsesTool(Struct, kw_only=True):
    """Tool; only functions are understood."""

    type: str = "function"
    name: str = ""
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class NamedChoice(Struct, kw_only=True):
    """Tool that has to be called."""

    type: str = "function"
    name: str = ""


class TextFormat(Struct, kw_only=True):
    """Form of the text: plain, any JSON object, or JSON of a schema."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str = ""
    schema: dict[str, Any] | None = None
    strict: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields that a form of its type has."""
        if self.type != "json_schema":
            return {"type": self.type}
        return {"type": self.type, "name": self.name, "schema": self.schema, "strict": self.strict}


class TextOptions(Struct, kw_only=True):
    """Options of the text."""

    format: TextFormat | None = None


class InputRequest(Struct, kw_only=True):
    """Body of POST /v1/responses/input_tokens."""

    input: str | list[InputItem] | None = None
    model: str | None = None
    instructions: str | None = None
    text: TextOptions | None = None
    tools: list[ResponsesTool] | None = None
    tool_choice: str | NamedChoice | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None


class ResponsesRequest(InputRequest, kw_only=True):
    """Body of POST /v1/responses. The last four are returned as they came, without effect."""

    stream: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    background: bool | None = None
    metadata: dict[str, str] | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
