"""`TypedAhead`: what is typed while a reply streams: a line being edited, and messages that wait. Draws nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from . import editing

QUOTES = '"""'  # a message between them may have several lines


def is_open(text: str) -> bool:
    """Whether a message begins with three quotation marks that are not closed yet, so that Enter begins a new line."""
    started = text.lstrip()
    return started.startswith(QUOTES) and not (len(started) >= 2 * len(QUOTES) and started.rstrip().endswith(QUOTES))


def unquoted(text: str) -> str:
    """Message without the three quotation marks around it."""
    inner = text.strip()
    is_quoted = len(inner) >= 2 * len(QUOTES) and inner.startswith(QUOTES) and inner.endswith(QUOTES)
    return inner[len(QUOTES) : -len(QUOTES)].strip("\n") if is_quoted else text


@dataclass
class TypedAhead:
    """Line being edited, with the cursor before the code point `position`, and `waiting` messages whose Enter came."""

    text: str = ""
    position: int = 0
    waiting: deque[str] = field(default_factory=deque)
    _is_escaped: bool = False

    def press(self, key: str, data: str) -> None:
        """Apply a key, by prompt-toolkit's name such as "c-m" or "left"; `data` is what the terminal sent for it."""
        is_escaped, self._is_escaped = self._is_escaped, key == "escape"
        if key == "c-m" or key == "c-j":
            self._enter(is_escaped)
        elif is_escaped and key in ("b", "f"):
            self._move(editing.word_before if key == "b" else editing.word_after)
        elif key == "<bracketed-paste>":
            self._insert(data.replace("\r\n", "\n").replace("\r", "\n"))
        elif key in _MOVES:
            self._move(_MOVES[key])
        elif key in _DELETED:
            self._delete(*_DELETED[key](self.text, self.position))
        elif len(key) == 1:
            self._insert(data)

    def take(self) -> tuple[str, int]:
        """(the line, its cursor); the line is empty afterwards."""
        taken = self.text, self.position
        self.text, self.position = "", 0
        return taken

    def take_back(self, message: str | None = None) -> None:
        """Put a message and the waiting ones back into the line, before what is typed."""
        lines = [text for text in (message, *self.waiting, self.text) if text]
        self.waiting.clear()
        self.text = "\n".join(lines)
        self.position = len(self.text)

    def _enter(self, is_escaped: bool) -> None:
        if is_escaped or is_open(self.text):
            self._insert("\n")
        elif (message := self.take()[0]).strip():
            self.waiting.append(unquoted(message))

    def _insert(self, text: str) -> None:
        self.text = self.text[: self.position] + text + self.text[self.position :]
        self.position += len(text)

    def _move(self, move: Callable[[str, int], int]) -> None:
        self.position = move(self.text, self.position)

    def _delete(self, start: int, end: int) -> None:
        self.text = self.text[:start] + self.text[end:]
        self.position = start


_MOVES: dict[str, Callable[[str, int], int]] = {
    "left": editing.before,
    "c-b": editing.before,
    "right": editing.after,
    "c-f": editing.after,
    "c-left": editing.word_before,
    "c-right": editing.word_after,
    "home": lambda text, position: 0,
    "c-a": lambda text, position: 0,
    "end": lambda text, position: len(text),
    "c-e": lambda text, position: len(text),
}
# key → (start, end) of what it deletes
_DELETED: dict[str, Callable[[str, int], tuple[int, int]]] = {
    "c-h": lambda text, position: (position - editing.deleted_by_backspace(text, position), position),
    "delete": lambda text, position: (position, editing.after(text, position)),
    "c-u": lambda text, position: (0, position),
    "c-k": lambda text, position: (position, len(text)),
    "c-w": lambda text, position: (editing.word_before(text, position), position),
}
