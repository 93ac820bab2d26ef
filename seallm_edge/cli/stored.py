"""Stored conversations for commands: the one that the options name, and its notices on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InvalidOption
from .output import diagnostic

if TYPE_CHECKING:
    from ..chat import BackgroundLoad, Conversation, History, StoredConversation
    from ..chat.notices import Notice
    from ..llm import SeaLLM

_ANOTHER = "leave out {option}, or begin a new one"


def named(history: History, session: str | None, system_option: str | None) -> StoredConversation | None:
    """Conversation of this title or id, None for a new one. `system_option` is the option that gives a system message.

    Raises InvalidOption if a stored one would get another system message.
    """
    stored = history.named(session) if session else None
    return _with_own_system(stored, system_option)


def last(history: History, system_option: str | None) -> StoredConversation:
    """Newest conversation. Raises InvalidOption if there is none, and as `named` does."""
    newest = history.conversations(1)
    if not newest:
        raise InvalidOption("there is no conversation to continue yet", "begin one: seallm chat")
    stored = history.conversation(newest[0].id)
    _with_own_system(stored, system_option)
    return stored


def picked(history: History, system_option: str | None) -> StoredConversation | None:
    """Conversation that the user picks from a list, None for none. Raises InvalidOption without a terminal."""
    from ..terminal.picker import pick
    from .options import is_interactive

    if not is_interactive():
        raise InvalidOption("--resume asks at a terminal, and standard input is none", "give --session NAME")
    if system_option is not None:
        raise InvalidOption("a stored conversation has its own system message", _ANOTHER.format(option=system_option))
    id_ = pick(history, _ask)
    return history.conversation(id_) if id_ else None


def conversation_over(
    llm: SeaLLM | BackgroundLoad, history: History, stored: StoredConversation | None, **options: Any
) -> Conversation:
    """Conversation that continues a stored one, or a new one; `options` as for `Conversation`. Its notices are printed
    on stderr unless `on_notice` is among them.
    """
    from ..chat import Conversation

    options = {"on_notice": tell, **options}
    if stored is None:
        return Conversation(llm, history=history, **options)
    own = {name: value for name, value in options.items() if name not in ("system", "persona", "title")}
    return Conversation.resume(llm, history, stored.id, **own)


def tell(notice: Notice) -> None:
    """Print a notice on stderr, with what mends it."""
    from ..chat.notices import NotSaved
    from ..hints import command_line_words

    diagnostic(f"({notice})")
    if isinstance(notice, NotSaved):
        diagnostic(f"  {notice.error.hint.worded(command_line_words)}")


def _with_own_system(stored: StoredConversation | None, system_option: str | None) -> StoredConversation | None:
    if stored is not None and system_option is not None:
        raise InvalidOption("a stored conversation has its own system message", _ANOTHER.format(option=system_option))
    return stored


def _ask(question: str) -> str | None:
    from ..terminal.printing import PROMPT

    diagnostic(question)
    try:
        return input(PROMPT)
    except EOFError:
        return None
