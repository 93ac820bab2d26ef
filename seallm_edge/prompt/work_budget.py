"""`Budget`: work limit for rendering a chat template, so that no model file can fill memory or hang a program."""

from __future__ import annotations

import time
from typing import Any

from jinja2.utils import Namespace

# Work is counted in characters and items; a step of a template counts as 20. The largest known templates take some 50
# steps for a message.
_MAX_WORK, _WORK_PER_MESSAGE = 20_000_000, 50_000
_STEP = 20
_MAX_SECONDS, _SECONDS_PER_MESSAGE = 5.0, 0.02


class TemplateLimit(Exception):
    """Chat template that exceeds its work budget."""


class Budget:
    """Work left for one rendering of `n_messages`. Raises TemplateLimit when it is spent."""

    def __init__(self, n_messages: int = 0) -> None:
        self._left = _MAX_WORK + n_messages * _WORK_PER_MESSAGE
        self._deadline = time.monotonic() + _MAX_SECONDS + n_messages * _SECONDS_PER_MESSAGE

    def charge(self, work: int) -> None:
        """Charge a step that handles `work` characters or items."""
        self._left -= _STEP + max(work, 0)
        if self._left < 0 or time.monotonic() > self._deadline:
            raise TemplateLimit("it does more work than any chat template needs")

    def measure(self, value: object) -> None:
        """Charge the size of `value`, counting a list as often as it is nested in it."""
        self.charge(len(value) if isinstance(value, str) else 1)
        if isinstance(value, Namespace):
            value = object.__getattribute__(value, "_Namespace__attrs")
        if isinstance(value, dict):
            value = [*value.keys(), *value.values()]
        if isinstance(value, list | tuple):
            for item in value:
                self.measure(item)


def growth(operator: str, left: Any, right: Any) -> int:
    """Size of the result of a binary operator, in characters, items or bytes."""
    if operator == "*":
        sized, times = (left, right) if isinstance(right, int) else (right, left)
        if isinstance(sized, int):
            return (sized.bit_length() + int(times).bit_length()) // 8 if isinstance(times, int) else 1
        return size_of(sized) * max(times, 0) if isinstance(times, int) else 1
    if operator == "**" and isinstance(left, int) and isinstance(right, int):
        return left.bit_length() * abs(right)
    return size_of(left) + size_of(right)


def size_of(value: object) -> int:
    """Characters of a text, or items of a collection."""
    return len(value) if isinstance(value, str | list | tuple | dict) else 1
