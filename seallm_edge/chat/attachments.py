"""Attachments: documents that wait for the next message of a conversation. Knows tokens and texts, not screens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..documents import Document, as_message_part, fit, read_document
from .conversation import Conversation

_QUESTION_TOKENS = 512  # that a document leaves for the message it goes with


@dataclass(frozen=True)
class Attachment:
    """Document for a message. `n_tokens` is its cost in the prompt, `n_left` the tokens of the context that then remain
    beside the conversation; below 0 the oldest turns leave for it. `n_characters` of `n_all_characters` are in it.
    """

    document: Document
    n_tokens: int
    n_left: int
    n_characters: int
    n_all_characters: int

    @property
    def is_whole(self) -> bool:
        """Whether the whole document fits in the context."""
        return self.n_characters == self.n_all_characters


class Attachments:
    """Documents for the next message, in the order in which they were attached."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._waiting: list[Attachment] = []

    def read(self, path: Path, encoding: str | None = None) -> Attachment:
        """Attachment of a file: the whole document, or of a longer one the beginning that fits in a context with the
        system message and the other attachments. It waits for nothing before `add`.

        Raises DocumentError, or UncertainEncoding where its `encoding` must be given.
        """
        document = read_document(path, encoding)
        conversation = self._conversation
        waiting = sum(one.n_tokens for one in self._waiting)
        markup = self._count(as_message_part(replace(document, text="")))
        space = conversation.message_space
        space -= min(_QUESTION_TOKENS, space // 4)
        part = fit(document.text, self._count, max(0, space - waiting - markup))
        n_tokens = self._count(as_message_part(replace(document, text=part.text)))
        n_left = conversation.space_left - waiting - n_tokens
        return Attachment(replace(document, text=part.text), n_tokens, n_left, len(part.text), len(document.text))

    def add(self, attachment: Attachment) -> None:
        """Let an attachment wait for the next message."""
        self._waiting.append(attachment)

    def joined(self, text: str) -> str:
        """Message with the waiting documents, then `text`."""
        return "\n".join([*(as_message_part(one.document) for one in self._waiting), text])

    def clear(self) -> None:
        """Let no document wait any more: they were sent."""
        self._waiting = []

    def _count(self, text: str) -> int:
        return len(self._conversation.llm.tokenize(text))
