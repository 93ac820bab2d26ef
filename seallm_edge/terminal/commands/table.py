"""`Commands`: the table of all commands over one conversation, and messages with their documents."""

from __future__ import annotations

from ...chat import Conversation
from ...errors import InvalidOption, did_you_mean
from ...translations import _, marked
from .answering import Answering
from .branches import Branches
from .conversations import Conversations
from .documents import Documents
from .entry import Entry, Face
from .settings import Settings
from .showing import Showing

__all__ = ["LEAVE", "Commands", "Entry", "Face"]

LEAVE = "/bye"
_OTHER_NAMES = {"/again": "/retry", "/exit": LEAVE, "/quit": LEAVE}


class Commands:
    """Commands over one conversation, shown by a `face`. Their order is that of the help."""

    def __init__(self, conversation: Conversation, face: Face) -> None:
        documents = Documents(conversation, face)
        groups = (
            Conversations(conversation, face),
            Answering(conversation, face),
            documents,
            Branches(conversation, face, documents),
            Settings(conversation),
            Showing(conversation, face),
        )
        self.send = documents.send
        self.table: dict[str, Entry] = {
            **{name: entry for group in groups for name, entry in group.entries().items()},
            "/help": Entry("", marked("show this"), lambda argument: print(self.help())),
            LEAVE: Entry("", marked("leave (as Ctrl-D does)"), lambda argument: None),
        }

    def named(self, line: str) -> tuple[str, str] | None:
        """(command, argument) of a line, None for a message. Raises InvalidOption for an unknown command."""
        name, _space, argument = line.strip().partition(" ")
        name = _OTHER_NAMES.get(name, name)
        if name in self.table:
            return name, argument.strip()
        if name.startswith("/") and name[1:].isalpha():
            raise InvalidOption(f"no command {name}{did_you_mean(name, self.table)}", "/help lists them")
        return None

    def help(self) -> str:
        """Table of the commands."""
        lines = [f"{f'{name} {one.argument}':<17}{_(one.help)}" for name, one in self.table.items()]
        return "\n".join(
            [
                *lines,
                _("@PATH in a message sends that document with it."),
                _("Ctrl-C stops an answer or clears the line; Ctrl-D leaves. Alt-Enter begins a new line."),
            ]
        )
