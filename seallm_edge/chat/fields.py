"""Fields of an imported JSON object, checked as they are read: a wrong type is a HistoryError that names its place."""

from __future__ import annotations

import builtins
from typing import Any

from ..errors import HistoryError

_WORDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
_MAX_TIME = 6e10  # seconds before and after 1970: the years 69 and 3871, which `datetime` can express
_MAX_SHOWN = 60  # characters


def import_error(where: str, problem: str) -> HistoryError:
    """Error for an import: `where` in the file the `problem` is."""
    hint = "give the export of this program, of ChatGPT or of Open WebUI, or an object with messages"
    return HistoryError(f"cannot import: {where} {problem}", hint)


def shown(value: object) -> str:
    """Value of a field for a message, in quotes and shortened."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


class Fields:
    """Fields of a JSON object, and `where` it is in the file, for messages. A missing field is null."""

    def __init__(self, value: Any, where: str) -> None:
        self.where = where
        if not isinstance(value, dict):
            raise self.error(f"is {_words(value)}, not an object")
        self._value = value

    def error(self, problem: str) -> HistoryError:
        """Error about this object."""
        return import_error(self.where, problem)

    def wrong(self, name: str, expected: str) -> HistoryError:
        """Error about the type of a field."""
        return self.error(f"has {_words(self[name])} as {name!r}, not {expected}")

    def __contains__(self, name: str) -> bool:
        return name in self._value

    def __getitem__(self, name: str) -> Any:
        return self._value.get(name)

    def items(self) -> builtins.list[tuple[str, Any]]:
        """Names and values of all fields."""
        return [*self._value.items()]

    def text(self, name: str) -> str:
        """Text of a field."""
        value = self[name]
        if not isinstance(value, str):
            raise self.wrong(name, "a text")
        return value

    def maybe_text(self, name: str) -> str | None:
        """Text of a field, or None for null."""
        return None if self[name] is None else self.text(name)

    def time(self, name: str, default: float | None = None) -> float:
        """Unix time in seconds of a field; `default` for null, if there is one."""
        value = default if self[name] is None else self[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, "a time in seconds")
        if not -_MAX_TIME < value < _MAX_TIME:
            raise self.error(f"has a number as {name!r} that is no time in seconds")
        return float(value)

    def list(self, name: str, optional: bool = False) -> builtins.list[Any]:
        """List of a field; empty for null if it is optional."""
        value = [] if optional and self[name] is None else self[name]
        if not isinstance(value, builtins.list):
            raise self.wrong(name, "a list")
        return value

    def object(self, name: str, optional: bool = False) -> Fields:
        """Object of a field; one without fields for null if it is optional."""
        value = {} if optional and self[name] is None else self[name]
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return Fields(value, self.where)


def _words(value: Any) -> str:
    return "nothing" if value is None else _WORDS.get(type(value), type(value).__name__)
