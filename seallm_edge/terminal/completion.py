"""Completion by the Tab key: commands, the arguments of some, and files behind `@` in a message."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from .. import translations
from ..chat import Conversation
from ..chat.personas import persona_names
from ..errors import SeaLLMError
from .commands import Commands
from .commands.answering import chat_models
from .commands.settings import NAMES

if TYPE_CHECKING:
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion

_N_SESSIONS = 50
_PATHS = ("/file ", "/export ")
_MENTION = re.compile(r'(?:^|\s)@(?:"([^"\n]*)|([^\s"]*))$')  # as in chat/mentions.py, up to the cursor


def completer(commands: Commands, conversation: Conversation) -> Completer | None:
    """Completer for the input line; None without prompt-toolkit."""
    try:
        from prompt_toolkit.completion import Completer, Completion
        from prompt_toolkit.document import Document
    except ImportError:
        return None
    names: dict[str, Callable[[], list[str]]] = {
        "/resume ": lambda: [one.title for one in conversation.history.conversations(_N_SESSIONS)],
        "/model ": lambda: list(chat_models()),
        "/persona ": persona_names,
        "/set when_full ": lambda: ["drop", "stop"],
        "/set ": lambda: list(NAMES),
        "/lang ": translations.codes,
        "/copy ": lambda: ["code"],
    }

    class ChatCompleter(Completer):
        """Completer of commands and arguments."""

        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
            """Completions of the text before the cursor, which are one line."""
            text = document.text_before_cursor
            for command in _PATHS:
                if text.startswith(command):
                    yield from files(text[len(command) :], complete_event)
            for candidate in candidates(text, commands, names):
                yield Completion(candidate, start_position=-len(text))
            if not text.startswith(_PATHS) and (mention := _MENTION.search(text)):
                yield from mentions(mention, complete_event)

    return ChatCompleter()


def candidates(text: str, commands: Commands, names: dict[str, Callable[[], list[str]]]) -> list[str]:
    """Whole lines that begin with `text`: commands, and commands with an argument from `names`."""
    for command, listed in names.items():
        if text.startswith(command):
            try:
                lines = [command + name for name in listed()]
            except (SeaLLMError, OSError):  # a history or folder that cannot be read
                return []
            return [line for line in lines if line.lower().startswith(text.lower())]
    return [name for name in commands.table if text and name.startswith(text)]


def files(begun: str, event: CompleteEvent) -> Iterator[Completion]:
    """Completions of a path."""
    from prompt_toolkit.completion import PathCompleter
    from prompt_toolkit.document import Document

    return iter(PathCompleter(expanduser=True).get_completions(Document(begun), event))


def mentions(mention: re.Match[str], event: CompleteEvent) -> Iterator[Completion]:
    """Completions of the path in a mention; between quotation marks where it has spaces."""
    from prompt_toolkit.completion import Completion

    is_quoted = mention[1] is not None
    begun = mention[1] if is_quoted else mention[2]
    for one in files(begun, event):
        path = begun + one.text
        if is_quoted or " " not in path:
            yield one
        else:
            yield Completion(f'"{path}', start_position=-len(begun), display=one.display)
