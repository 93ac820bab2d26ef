"""Commands over the stored conversations: a new one, the list, and the change to another."""

from __future__ import annotations

from ...chat import Conversation
from ...chat.exporting import EXPORTS
from ...chat.records import ConversationSummary
from ...errors import InvalidOption
from ...files.atomic import write_text
from ...paths import typed_path
from ...text.lines import local_minute, one_line
from ...translations import _, marked
from ..picker import pick
from ..printing import conversation_row, number_in, tell
from .entry import Entry, Face
from .showing import show_end

_N_LISTED = 10
_MAX_SNIPPET = 200  # grapheme clusters

_MAX_LINE = 60  # grapheme clusters of a title or of words in a notice


class Conversations:
    """Commands that list, find, open, name and export conversations."""

    def __init__(self, conversation: Conversation, face: Face) -> None:
        self._conversation = conversation
        self._face = face
        self._listed: list[ConversationSummary] = []

    def entries(self) -> dict[str, Entry]:
        """Commands of this group."""
        return {
            "/new": Entry("", marked("start another conversation, with the same system message"), self._new),
            "/sessions": Entry("", marked("list the newest conversations"), self._sessions),
            "/resume": Entry(
                "NAME",
                marked("continue a conversation: its number in the list, title or id; without NAME, choose one"),
                self._resume,
            ),
            "/rename": Entry("TITLE", marked("give this conversation a title"), self._rename),
            "/search": Entry("WORDS", marked("search the messages of all conversations"), self._search),
            "/export": Entry("FILE", marked("write this conversation to a file: .md, .txt or .json"), self._export),
        }

    def _new(self, argument: str) -> None:
        self._conversation.clear()
        tell(_("(a new conversation)"))

    def _sessions(self, argument: str) -> None:
        self._listed = self._conversation.history.conversations(_N_LISTED)
        for number, one in enumerate(self._listed, 1):
            print(conversation_row(number, one, one.id == self._conversation.id))
        if not self._listed:
            tell(_("no conversation is stored yet"))

    def _resume(self, name: str) -> None:
        history = self._conversation.history
        if not name:
            id_ = pick(history, self._face.ask, self._conversation.id)
        elif (place := number_in(name, len(self._listed))) is not None:
            id_ = self._listed[place].id
        else:
            id_ = history.find(name).id
        if id_ is not None:
            self._conversation.open(id_)
            show_end(self._conversation)

    def _rename(self, title: str) -> None:
        if not title:
            raise InvalidOption("there is no title", "/rename TITLE")
        self._conversation.rename(title)
        tell(_("(this conversation is now {title})").format(title=f"'{one_line(title, _MAX_LINE)}'"))

    def _search(self, words: str) -> None:
        found = self._conversation.history.search(words, _N_LISTED)
        for one in found:
            snippet = one_line(one.snippet, _MAX_SNIPPET)
            print(f"{one.conversation}  {local_minute(one.created)}  {one.role}: {snippet}")
        if not found:
            tell(_("no message holds {words}").format(words=f"'{one_line(words, _MAX_LINE)}'"))

    def _export(self, file: str) -> None:
        path = typed_path(file)
        form = path.suffix.removeprefix(".")
        if form not in EXPORTS or "\0" in file:
            raise InvalidOption(f"no format for {file!r}", "give a name that ends in .md, .txt or .json")
        if not self._conversation.id:
            raise InvalidOption("there is no message to export yet", "say something")
        if path.exists():
            raise InvalidOption(f"{path} exists already", "give another name")
        write_text(path, EXPORTS[form](self._conversation.tree()))
        tell(_("(written to {path})").format(path=path))
