"""Chat screen: keyboard input, and the display of replies."""

from .markdown import MarkdownStream, PlainStream
from .screen import Screen
from .style import Style

__all__ = ["MarkdownStream", "PlainStream", "Screen", "Style"]
