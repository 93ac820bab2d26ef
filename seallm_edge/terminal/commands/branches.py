"""Commands over the branches of this conversation: edits, retries, and the way back."""

from __future__ import annotations

from ...chat import Conversation
from ...errors import InvalidOption
from ...text.lines import one_line
from ...translations import _, marked
from ..printing import number_in, row, tell
from .documents import Documents
from .entry import Entry, Face
from .showing import show_end

_MAX_LINE = 60  # grapheme clusters of a message in a notice


class Branches:
    """Commands that make branches and change between them. An edited message takes the waiting documents along."""

    def __init__(self, conversation: Conversation, face: Face, documents: Documents) -> None:
        self._conversation = conversation
        self._face = face
        self._documents = documents

    def entries(self) -> dict[str, Entry]:
        """Commands of this group."""
        return {
            "/edit": Entry("TEXT", marked("replace your last message, and answer it"), self._edit),
            "/retry": Entry("", marked("answer your last message again"), self._retry),
            "/continue": Entry("", marked("continue the last answer where it stopped"), self._go_on),
            "/undo": Entry("", marked("go back to before your last message"), self._undo),
            "/branch": Entry(
                "NUMBER", marked("list the branches of this conversation, or change to one"), self._branch
            ),
        }

    def _edit(self, text: str) -> None:
        if not text:
            raise InvalidOption("there is no text in place of your last message", "/edit TEXT")
        self._documents.send(text, self._conversation.edit)

    def _retry(self, argument: str) -> None:
        self._face.answer(self._conversation.retry())

    def _go_on(self, argument: str) -> None:
        self._face.answer(self._conversation.go_on())

    def _undo(self, argument: str) -> None:
        text = self._conversation.undo()
        if text is None:
            tell(_("nothing to take back"))
        else:
            tell(_("(taken back: {text})").format(text=one_line(text, _MAX_LINE)))

    def _branch(self, number: str) -> None:
        branches = self._conversation.branches()
        if number:
            place = number_in(number, len(branches))
            if place is None:
                hint = f"there are {len(branches)}: /branch lists them"
                raise InvalidOption(f"no branch has the number {one_line(number, _MAX_LINE)}", hint)
            self._conversation.go_to(branches[place].id)
            show_end(self._conversation)
            return
        here = {one.id for one in self._conversation.stored_messages}
        for place, one in enumerate(branches, 1):
            print(row(f"{place:>2}{'*' if one.id in here else ' '} ", one.content))
        if not branches:
            tell(_("no answer yet"))
