"""ChatML prompts from messages, as a pure function. Knows no tokenizer.

Control tokens and plain text are separate segments, so that `<|im_end|>` typed by a user is tokenized as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidOption

START, END = "<|im_start|>", "<|im_end|>"
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Message:
    """One message: its `role` (system, user or assistant) and its `content`."""

    role: str
    content: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InvalidOption(f"a message has the role {self.role!r}", f"the roles are {', '.join(ROLES)}")
        if not isinstance(self.content, str):
            raise InvalidOption(f"the content of a message is {type(self.content).__name__}", "give it as text")


@dataclass(frozen=True)
class PromptSegment:
    """Segment of the prompt: plain text, or the name of a control token. `is_reply` marks an earlier reply's text."""

    text: str
    is_control: bool = False
    is_reply: bool = False


def as_messages(value: str | Iterable[Message | Mapping[str, Any]]) -> list[Message]:
    """Messages from a text (one user message), Messages, or mappings with `role` and `content`.

    Raises InvalidOption for anything else, and for none at all.
    """
    if isinstance(value, str):
        return [Message("user", value)]
    messages = [_as_message(item) for item in value]
    if not messages:
        raise InvalidOption("there are no messages", "give at least one user message")
    return messages


def chatml(messages: Sequence[Message], default_system: str = "") -> list[PromptSegment]:
    """ChatML prompt for the next assistant message, with `default_system` if the first message is no system message."""
    if default_system and messages[0].role != "system":
        messages = [Message("system", default_system), *messages]
    segments: list[PromptSegment] = []
    for message in messages:
        segments.append(PromptSegment(START, is_control=True))
        if message.role == "assistant":
            segments += [PromptSegment("assistant\n"), PromptSegment(message.content, is_reply=True)]
        else:
            segments.append(PromptSegment(f"{message.role}\n{message.content}"))
        segments += [PromptSegment(END, is_control=True), PromptSegment("\n")]
    return [*segments, PromptSegment(START, is_control=True), PromptSegment("assistant\n")]


def _as_message(item: object) -> Message:
    if isinstance(item, Message):
        return item
    if not isinstance(item, Mapping) or set(item) != {"role", "content"}:
        raise InvalidOption(f"a message is {item!r:.80}", "give a Message, or a mapping with just role and content")
    return Message(item["role"], item["content"])
