"""Attachments: documents that wait for the next message of a conversation. Knows tokens and texts, not screens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from .. import documents
from .chunk_pass import ChunkPass
from .conversation import Conversation

_QUESTION_TOKENS = 512  # that a document leaves for the message it goes with


@dataclass(frozen=True)
class Attachment:
    """Document for a message, from the file `path`: `document` has the text that fits in the context, `whole`
    all of it.

    `n_tokens` is its cost in the prompt, `n_left` the tokens of the context that then remain beside the conversation;
    below 0 the oldest turns leave for it. `is_in_parts` where a `ChunkPass` is to read the whole.
    """

    path: Path
    document: documents.Document
    whole: documents.Document
    n_tokens: int
    n_left: int
    is_in_parts: bool = False

    @property
    def n_characters(self) -> int:
        """Characters that fit in the context."""
        return len(self.document.text)

    @property
    def n_all_characters(self) -> int:
        """Characters of the whole document."""
        return len(self.whole.text)

    @property
    def is_whole(self) -> bool:
        """Whether the whole document fits in the context."""
        return self.n_characters == self.n_all_characters


class Attachments:
    """Documents for the next message, in the order in which they were attached."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._waiting: list[Attachment] = []

    @property
    def waiting(self) -> tuple[Attachment, ...]:
        """Documents that go with the next message."""
        return tuple(self._waiting)

    def read(self, path: Path, encoding: str | None = None) -> Attachment:
        """Attachment of a file: the whole document, or of a longer one the beginning that fits in a context with the
        system message and the other attachments. It waits for nothing before `add`.

        Raises DocumentError, or UncertainEncoding where its `encoding` must be given.
        """
        document = documents.read_document(path, encoding)
        waiting = self._waiting_tokens()
        markup = self._count(documents.as_message_part(replace(document, text="")))
        part = documents.fit(document.text, self._count, max(0, self._space() - waiting - markup))
        fitting = document if part.is_whole else replace(document, text=part.text)
        n_tokens = self._count(documents.as_message_part(fitting))
        return Attachment(path, fitting, document, n_tokens, self._conversation.space_left - waiting - n_tokens)

    def chunk_pass(self, attachment: Attachment, question: str, notes: Iterable[str] = ()) -> ChunkPass:
        """Pass over the whole of an attachment with a question, beside `notes` on others.

        Raises InvalidOption where the context is too small for it.
        """
        space = self._conversation.message_space - self._waiting_tokens() - sum(map(self._count, notes))
        return ChunkPass(self._conversation, attachment.whole, question, space)

    def add(self, attachment: Attachment) -> None:
        """Let an attachment wait for the next message."""
        self._waiting.append(attachment)

    def joined(self, text: str, notes: Iterable[str] = ()) -> str:
        """Message with the waiting documents, then `notes` on those read in parts, then `text`."""
        whole = (documents.as_message_part(one.document) for one in self._waiting if not one.is_in_parts)
        return "\n".join([*whole, *notes, text])

    def clear(self) -> None:
        """Let no document wait any more: they were sent."""
        self._waiting = []

    def restore(self, waiting: Iterable[Attachment]) -> None:
        """Let these wait, and no others."""
        self._waiting = [*waiting]

    def _space(self) -> int:
        """Tokens for documents in a message that has a question too."""
        space = self._conversation.message_space
        return space - min(_QUESTION_TOKENS, space // 4)

    def _waiting_tokens(self) -> int:
        return sum(one.n_tokens for one in self._waiting if not one.is_in_parts)

    def _count(self, text: str) -> int:
        return len(self._conversation.llm.tokenize(text))
