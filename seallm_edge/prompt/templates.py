"""Chat formats: a model file's own template, or ChatML where the file has none. Knows no files.

format   used for
------   --------
own      a file with a template that can be rendered
chatml   a file without a template, if its card is a chat model's or its end-of-text token is `<|im_end|>`;
         a file with a template that cannot be rendered but spells ChatML
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from .chatml import END, START, Message, PromptSegment, chatml


class ChatFormat(Protocol):
    """Prompt format of a chat model."""

    @property
    def adds_bos(self) -> bool:
        """Whether the tokenizer's BOS token, if it adds one, comes before the segments."""

    def segments(self, messages: Sequence[Message]) -> list[PromptSegment]:
        """Prompt for the next assistant message. Raises InvalidOption for messages that the format refuses."""


@dataclass(frozen=True)
class ChatML:
    """ChatML, with `default_system` if the first message is no system message."""

    default_system: str = ""
    adds_bos: bool = True

    def segments(self, messages: Sequence[Message]) -> list[PromptSegment]:
        """Prompt for the next assistant message."""
        return chatml(messages, self.default_system)


def spells_chatml(template: str) -> bool:
    """Whether a template's text has both control tokens of ChatML."""
    return START in template and END in template


def speaks_chatml(control_tokens: Collection[str], end_of_text: str) -> bool:
    """Whether a vocabulary is a ChatML model's: it has both control tokens, and `<|im_end|>` ends the text."""
    return START in control_tokens and END in control_tokens and end_of_text == END
