"""Chat screen: keyboard input, and the display of replies."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .markdown import MarkdownStream, PlainStream
    from .screen import Screen
    from .style import Style

# public name → its module, imported on first access: the prompt is there before what replies need
_HOMES = {"MarkdownStream": "markdown", "PlainStream": "markdown", "Screen": "screen", "Style": "style"}
__all__ = ["MarkdownStream", "PlainStream", "Screen", "Style"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
