"""Chat formats: a model file's own template, or a known format where the file has none. Knows no files.

format   where it is used
------   ----------------
own      the file has a template that can be rendered
chatml   the file has none: a card says that the model chats, or `<|im_end|>` ends its text
         the file has one that cannot be rendered but spells ChatML
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from .chatml import END, START, Message, PromptSegment, chatml


class ChatFormat(Protocol):
    """The prompt format of a chat model."""

    @property
    def adds_bos(self) -> bool:
        """Whether the tokenizer's first token, if it adds one, comes before the segments."""

    def segments(self, messages: Sequence[Message]) -> list[PromptSegment]:
        """The prompt for the next assistant message. Raises InvalidOption for messages that the format refuses."""


@dataclass(frozen=True)
class ChatML:
    """ChatML, with `default_system` where the first message is no system one."""

    default_system: str = ""
    adds_bos: bool = True

    def segments(self, messages: Sequence[Message]) -> list[PromptSegment]:
        """The prompt for the next assistant message."""
        return chatml(messages, self.default_system)


def spells_chatml(template: str) -> bool:
    """Whether the text of a template names both marks of ChatML."""
    return START in template and END in template


def speaks_chatml(control_tokens: Collection[str], end_of_text: str) -> bool:
    """Whether a vocabulary says that its model was trained on ChatML: it has both marks, and one ends the text."""
    return START in control_tokens and END in control_tokens and end_of_text == END
