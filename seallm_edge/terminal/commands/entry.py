"""`Entry` of the table of commands, and `Face`: what commands need of a screen."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import NamedTuple, Protocol


class Entry(NamedTuple):
    """Command of the chat: the word for its argument, "" for none, its help (marked for translation), its function."""

    argument: str
    help: str
    run: Callable[[str], None]


class Face(Protocol):
    """Screen, as commands use it. Results are printed on stdout, and what was done on stderr."""

    def answer(self, deltas: Generator[str, None, None]) -> bool:
        """Show a reply as it streams: whether its turn was kept."""

    def ask(self, question: str) -> str | None:
        """Answer of the user to a question; "" or None at the end of input."""

    def change_model(self, name: str) -> None:
        """Continue the conversation with another model. Raises SeaLLMError, and then the model stays."""

    def clear(self) -> None:
        """Clear the screen; the conversation stays."""
