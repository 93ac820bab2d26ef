"""Records of the chat history, as they are read: conversations, messages, search matches. Knows no SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["user", "assistant", "system"]
State = Literal["complete", "streaming", "cut"]
ROLES: tuple[Role, ...] = ("user", "assistant", "system")
STATES: tuple[State, ...] = ("complete", "streaming", "cut")


@dataclass(frozen=True)
class StoredConversation:
    """Conversation without its messages. Times are Unix seconds; `updated` is that of the last message.

    `leaf` is the id of the message where the conversation stands, None before the first. `context_start` is the id of
    the oldest message in the model's context, None for all. `persona` names the source of the `system` message.
    """

    id: str
    title: str | None
    created: float
    updated: float
    model: str | None
    system: str | None
    persona: str | None
    leaf: int | None
    context_start: int | None


@dataclass(frozen=True)
class StoredMessage:
    """Message of a conversation's tree. `parent` is None for a first message; an edit or a retry is a sibling.

    `state` is "streaming" while the reply is written, and "cut" if it ended early. `model` and `figures` (token counts,
    timings) are those of a reply.
    """

    id: int
    conversation: str
    parent: int | None
    role: Role
    content: str
    created: float
    state: State = "complete"
    model: str | None = None
    figures: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ConversationSummary:
    """Entry of a list of conversations. `title` is the first line of the first user message if none was given.

    `n_messages` counts the messages of all branches.
    """

    id: str
    title: str
    created: float
    updated: float
    model: str | None
    n_messages: int


@dataclass(frozen=True)
class Match:
    """Message found by a search: ids of its conversation and its own; `snippet` is one line around the first term."""

    conversation: str
    message: int
    role: Role
    created: float
    snippet: str


@dataclass(frozen=True)
class ConversationTree:
    """Conversation with all its messages, each parent before its children: the unit of export and import."""

    conversation: StoredConversation
    messages: tuple[StoredMessage, ...]
