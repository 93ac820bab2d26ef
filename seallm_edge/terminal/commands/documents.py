"""Documents of messages: `/file`, `@path` in a message, and long ones read in parts before the answer."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

from ...chat import Conversation
from ...chat.attachments import Attachment, Attachments
from ...chat.chunk_pass import ChunkPass
from ...chat.mentions import mentioned_files
from ...errors import InvalidOption, UncertainEncoding
from ...paths import typed_path
from ...translations import _, marked, ngettext
from ..notices import document_notice_words
from ..printing import row, tell
from ..reading_ahead import silent_keyboard
from .entry import Entry, Face

_YES = ("y", "yes")
_IN_PARTS = ("p", "parts")


class Documents:
    """Documents that wait for the next message, and the message that takes them along."""

    def __init__(self, conversation: Conversation, face: Face) -> None:
        self._conversation = conversation
        self._face = face
        self._attachments = Attachments(conversation)
        self._notes: dict[tuple[Path, str], str] = {}  # on documents read in parts, by the question

    def entries(self) -> dict[str, Entry]:
        """Commands of this group."""
        return {
            "/file": Entry(
                "PATH", marked("send a document with your next message; without PATH, send none"), self._file
            )
        }

    def send(self, text: str, turn: Callable[[str], Generator[str, None, None]] | None = None) -> None:
        """Answer a message with its documents: those that wait, and those that it mentions. `turn` begins the reply.

        Where a document is refused, or the turn is not kept, the message is not sent, and what waited before waits.
        """
        before, is_kept = self._attachments.waiting, False
        try:
            is_ready = all(self._attach_mentioned(path) for path in mentioned_files(text))
            message = self._message(text) if is_ready else None
            if message is None:
                tell(_("(the message was not sent)"))
            else:
                is_kept = self._face.answer((turn or self._conversation.say)(message))
        finally:
            if is_kept:
                self._attachments.clear()
                self._notes.clear()
            else:
                self._attachments.restore(before)

    def _file(self, argument: str) -> None:
        if not argument:
            self._attachments.clear()
            tell(_("(no document goes with your next message)"))
            return
        name, _option, encoding = argument.partition(" --encoding ")
        self._attach(typed_path(name.strip("\"'")), encoding.strip() or None)

    def _attach_mentioned(self, path: Path) -> bool:
        return any(one.path == path for one in self._attachments.waiting) or self._attach(path)

    def _attach(self, path: Path, encoding: str | None = None) -> bool:
        """Let a document wait for the message, after questions about it: whether it does."""
        try:
            attachment = self._attachments.read(path, encoding)
        except UncertainEncoding as error:
            tell(_("{name} may be in one of these encodings:").format(name=path.name))
            for candidate, line in error.candidates:
                print(row(f"{candidate:<14}", line))
            tell(_("  choose one: /file {path} --encoding NAME").format(path=path))
            return False
        for notice in attachment.document.notices:
            tell(f"({document_notice_words(notice)})")
        if not attachment.is_whole:
            return self._attach_long(attachment)
        self._add(attachment)
        return True

    def _add(self, attachment: Attachment) -> None:
        self._attachments.add(attachment)
        if attachment.n_left < 0:
            left = _("the oldest turns will leave the context for it")
        else:
            left = ngettext(
                "{n:,} token of the context remains", "{n:,} tokens of the context remain", attachment.n_left
            ).format(n=attachment.n_left)
        tell(
            _("({name}: {tokens:,} tokens, with your message; {left})").format(
                name=attachment.path.name, tokens=attachment.n_tokens, left=left
            )
        )

    def _attach_long(self, attachment: Attachment) -> bool:
        """Ask whether to send the beginning of a document, or to read all of it in parts: whether either."""
        tell(
            _("{name} is too long: {part:,} of {all:,} characters fit in the context of {n_ctx:,} tokens").format(
                name=attachment.path.name,
                part=attachment.n_characters,
                all=attachment.n_all_characters,
                n_ctx=self._conversation.llm.n_ctx,
            )
        )
        n_parts = self._n_parts(attachment)
        if n_parts:
            question = _("send its beginning (y), read all of it in parts (p: about {n:,}), or neither (n)? ")
        else:
            question = _("send its beginning? (y/n) ")
        answer = (self._face.ask(question.format(n=n_parts)) or "").strip().lower()
        if answer in _YES:
            self._add(attachment)
        elif n_parts and answer in _IN_PARTS:
            self._attachments.add(replace(attachment, is_in_parts=True))
            tell(_("({name}: your message is put to each part)").format(name=attachment.path.name))
        else:
            return False
        return True

    def _n_parts(self, attachment: Attachment) -> int:
        """Number of parts of a document with a short question; 0 where the context is too small for that."""
        try:
            return len(self._attachments.chunk_pass(attachment, "…").parts)
        except InvalidOption:
            return 0

    def _message(self, text: str) -> str | None:
        """Message with the waiting documents, the long ones read in parts first; None where nothing was read."""
        notes: list[str] = []
        for attachment in self._attachments.waiting:
            if attachment.is_in_parts:
                found = self._notes.get((attachment.path, text)) or self._read_in_parts(attachment, text, notes)
                if found is None:
                    return None
                notes.append(found)
        return self._attachments.joined(text, notes)

    def _read_in_parts(self, attachment: Attachment, text: str, notes: list[str]) -> str | None:
        """Notes on a document; after Ctrl-C those on the parts read so far, None where there are none."""
        a_pass, was_stopped = self._attachments.chunk_pass(attachment, text, notes), False
        _tell_cost(attachment.path.name, a_pass)
        while True:
            try:
                with silent_keyboard():
                    for number in a_pass.run():
                        tell(_("(part {number:,} of {n:,})").format(number=number, n=len(a_pass.parts)))
            except KeyboardInterrupt:
                was_stopped = True
                tell(_("(stopped: notes on {n:,} of {all:,} parts)").format(n=len(a_pass.notes), all=len(a_pass.parts)))
            if not a_pass.notes:
                return None
            _tell_cut(a_pass)
            following = a_pass.condensation()
            if following is None:
                break
            a_pass = following
            tell(_("(the notes are too long for one message: they are read in parts too)"))
        found = a_pass.message_part()
        if not was_stopped:
            self._notes[(attachment.path, text)] = found
        return found


def _tell_cost(name: str, a_pass: ChunkPass) -> None:
    n = len(a_pass.parts)
    words = ngettext(
        "({name}: {n:,} part; {read:,} tokens to read and up to {written:,} to write before the answer)",
        "({name}: {n:,} parts; {read:,} tokens to read and up to {written:,} to write before the answer)",
        n,
    )
    tell(words.format(name=name, n=n, read=a_pass.prompt_tokens, written=a_pass.reply_tokens))
    tell(_("(Ctrl-C answers from the parts read so far)"))


def _tell_cut(a_pass: ChunkPass) -> None:
    if n := a_pass.n_cut:
        words = ngettext(
            "(the notes on {n:,} part were cut, at {tokens:,} tokens at most)",
            "(the notes on {n:,} parts were cut, at {tokens:,} tokens at most)",
            n,
        )
        tell(words.format(n=n, tokens=a_pass.note_tokens))
