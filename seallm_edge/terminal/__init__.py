"""Chat screen: keyboard input, and the display of replies."""

from .screen import Screen

__all__ = ["Screen"]
