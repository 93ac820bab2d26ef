"""The chat screen: what is typed, and how replies look."""

from .screen import Screen

__all__ = ["Screen"]
