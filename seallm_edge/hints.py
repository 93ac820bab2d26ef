"""`Hint`: advice that mends an error, as data. Each face words its options and commands in its own way.

    Hint("shorten it, or give {context}", context=Option("context", 16384))

reads `--context 16384` on the command line, `context=16384` in Python, and `"context": 16384` over HTTP.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Option:
    """Option to give, under its Python name. `value` None leaves the value to the reader."""

    name: str
    value: object = None


@dataclass(frozen=True)
class Command:
    """Task of the `seallm` command, by its name there, with its arguments and options."""

    name: str
    arguments: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()


Part = Option | Command | str
Wording = Callable[[Option | Command], str]

# Python functions for commands.
_FUNCTIONS = {
    "convert": "seallm_edge.convert.convert",
    "export": "seallm_edge.store.export",
    "import": "seallm_edge.store.import_model",
    "list": "seallm_edge.store.installed",
    "merge": "seallm_edge.convert.merge",
    "models": "seallm_edge.store.installed",
    "pull": "seallm_edge.store.pull",
    "quantize": "seallm_edge.convert.quantize",
    "rm": "seallm_edge.store.remove",
    "run": "seallm_edge.SeaLLM.complete",
    "share": "seallm_edge.store.share",
    "sessions": "seallm_edge.chat.History.conversations",
    "tune": "seallm_edge.tuning.tune",
    "verify": "seallm_edge.convert.verify",
}
# Python functions of their own for an option of a command.
_FUNCTIONS_OF_OPTIONS = {("verify", "rebuild"): "seallm_edge.store.rebuild"}
_ENDPOINTS = {"models": "GET /v1/models", "run": "POST /v1/completions"}
_SHORT_FLAGS = {"out": "-o"}


class Hint:
    """Text with fields in braces for `parts`: options, commands, or words that may hold braces themselves.

    Without parts the text is plain. False where empty. `str()` gives Python's wording.
    """

    def __init__(self, text: str = "", **parts: Part) -> None:
        self.text = text
        self.parts = parts

    def then(self, text: str, **parts: Part) -> Hint:
        """This hint, continued by another text."""
        own = self.text if self.parts else self.text.replace("{", "{{").replace("}", "}}")
        return Hint(own + text, **self.parts, **parts)

    def as_data(self) -> list[Any]:
        """JSON values for `from_data`, to pass hints between processes."""
        return [self.text, {name: part if isinstance(part, str) else asdict(part) for name, part in self.parts.items()}]

    @classmethod
    def from_data(cls, data: Sequence[Any]) -> Hint:
        """Hint from the values of `as_data`."""
        return cls(data[0], **{name: _part(value) for name, value in data[1].items()})

    def worded(self, wording: Wording) -> str:
        """The hint in the words of one face of the program."""
        if not self.parts:
            return self.text
        words = {name: part if isinstance(part, str) else wording(part) for name, part in self.parts.items()}
        return self.text.format(**words)

    def __str__(self) -> str:
        return self.worded(python_words)

    def __repr__(self) -> str:
        return f"Hint({str(self)!r})"

    def __bool__(self) -> bool:
        return bool(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hint) and (self.text, self.parts) == (other.text, other.parts)

    def __hash__(self) -> int:
        return hash(self.text)


def as_hint(hint: Hint | str) -> Hint:
    """`hint` as a Hint; a string is one without options and commands."""
    return hint if isinstance(hint, Hint) else Hint(hint)


def command_line_words(part: Option | Command) -> str:
    """Words for a shell: `--context 16384`, `--force`, `-o`, `seallm models`."""
    if isinstance(part, Command):
        return " ".join([shlex.join(["seallm", part.name, *part.arguments]), *map(command_line_words, part.options)])
    flag = _SHORT_FLAGS.get(part.name, f"--{part.name.replace('_', '-')}")
    return flag if part.value is None or part.value is True else f"{flag} {part.value}"


def python_words(part: Option | Command) -> str:
    """Words for a program: `context=16384`, `force=True`, `out=…`, `seallm_edge.store.installed()`."""
    if isinstance(part, Option):
        return f"{part.name}={'…' if part.value is None else repr(part.value)}"
    if part.name not in _FUNCTIONS:
        return command_line_words(part)
    for option in part.options:
        if own := _FUNCTIONS_OF_OPTIONS.get((part.name, option.name)):
            return f"{own}()"
    return f"{_FUNCTIONS[part.name]}({', '.join([*map(repr, part.arguments), *map(python_words, part.options)])})"


def http_words(part: Option | Command) -> str:
    """Words for a request's body: `"context": 16384`. Commands without an endpoint are for the server's operator."""
    if isinstance(part, Command):
        return _ENDPOINTS.get(part.name, f"{command_line_words(part)} (on the server)")
    value = "" if part.value is None else f": {json.dumps(part.value, ensure_ascii=False, default=str)}"
    return f'"{part.name}"{value}'


def _part(data: Any) -> Part:
    if isinstance(data, str):
        return data
    if "arguments" not in data:
        return Option(**data)
    return Command(data["name"], tuple(data["arguments"]), tuple(Option(**option) for option in data["options"]))
