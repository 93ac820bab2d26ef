"""Functions as tools, in the form of OpenAI's chat, which is Ollama's too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from .tools import NO_ARGUMENTS, Tool


class FunctionDefinition(Struct, kw_only=True):
    """Function that may be called."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolDefinition(Struct, kw_only=True):
    """Tool; only functions are understood."""

    type: str = "function"
    function: FunctionDefinition | None = None


def tools_of(given: Sequence[ToolDefinition] | None) -> list[Tool]:
    """Functions among the tools of a request."""
    return [tool_of(one.function) for one in given or [] if one.type == "function" and one.function]


def tool_of(function: FunctionDefinition) -> Tool:
    """Function as a tool."""
    return Tool(function.name, function.description or "", function.parameters or NO_ARGUMENTS)
