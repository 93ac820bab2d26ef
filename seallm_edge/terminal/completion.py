"""Completion by the Tab key: commands, and the arguments of some: conversations, personas, files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..chat import Conversation
from ..chat.personas import persona_names
from ..errors import SeaLLMError
from .commands import Commands

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer

_N_SESSIONS = 50
_PATHS = ("/file ", "/export ")


def completer(commands: Commands, conversation: Conversation) -> Completer | None:
    """Completer for the input line; None without prompt-toolkit."""
    try:
        from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
        from prompt_toolkit.document import Document
    except ImportError:
        return None
    names: dict[str, Callable[[], list[str]]] = {
        "/resume ": lambda: [one.title for one in conversation.history.conversations(_N_SESSIONS)],
        "/persona ": persona_names,
    }
    files = PathCompleter(expanduser=True)

    class ChatCompleter(Completer):
        """Completer of commands and arguments."""

        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
            """Completions of the text before the cursor, which are one line."""
            text = document.text_before_cursor
            for command in _PATHS:
                if text.startswith(command):
                    yield from files.get_completions(Document(text[len(command) :]), complete_event)
            for candidate in candidates(text, commands, names):
                yield Completion(candidate, start_position=-len(text))

    return ChatCompleter()


def candidates(text: str, commands: Commands, names: dict[str, Callable[[], list[str]]]) -> list[str]:
    """Whole lines that begin with `text`: commands, and commands with an argument from `names`."""
    for command, listed in names.items():
        if text.startswith(command):
            try:
                lines = [command + name for name in listed()]
            except SeaLLMError:  # a history that cannot be read
                return []
            return [line for line in lines if line.lower().startswith(text.lower())]
    return [name for name in commands.table if text and name.startswith(text)]
