"""Records of the chat history, as they are read: conversations, messages, search matches. Knows no SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..text.unicode import graphemes

Role = Literal["user", "assistant", "system"]
State = Literal["complete", "streaming", "cut"]
ROLES: tuple[Role, ...] = ("user", "assistant", "system")
_MAX_TITLE = 60  # grapheme clusters of a title that is taken from a message
_MAX_CHARACTERS = 200  # of such a title, where clusters are long
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
    """Message found by a search: ids of its conversation and its own; `snippet` is one line around the first term.

    `title` is that of the conversation, as in the list.
    """

    conversation: str
    title: str
    message: int
    role: Role
    created: float
    snippet: str


@dataclass(frozen=True)
class ConversationTree:
    """Conversation with all its messages, each parent before its children: the unit of export and import."""

    conversation: StoredConversation
    messages: tuple[StoredMessage, ...]

    @property
    def title(self) -> str:
        """Title as in the list of conversations; empty if there is neither a title nor a user message."""
        first = next((message.content for message in self.messages if message.role == "user"), "")
        return self.conversation.title or title_from(first)

    @property
    def ends(self) -> tuple[StoredMessage, ...]:
        """Last messages of all branches, the oldest first; without messages that have no text."""
        messages = [one for one in self.messages if one.content]
        parents = {one.parent for one in messages}
        return tuple(one for one in messages if one.id not in parents)

    @property
    def branch(self) -> tuple[StoredMessage, ...]:
        """Messages from the first to the leaf, where the conversation stands."""
        by_id = {message.id: message for message in self.messages}
        at = by_id.get(self.conversation.leaf) if self.conversation.leaf is not None else None
        found = []
        while at is not None:
            found.append(at)
            at = by_id.get(at.parent) if at.parent is not None else None
        return tuple(reversed(found))


def title_from(text: str) -> str:
    """Title from a message's first line with text, in whole grapheme clusters."""
    line = next(filter(None, map(str.strip, text.splitlines())), "")
    if len(line) <= _MAX_TITLE:
        return line
    clusters = graphemes(line[:_MAX_CHARACTERS])
    if len(line) > _MAX_CHARACTERS:
        clusters.pop()  # it may have been cut
    is_whole = len(line) <= _MAX_CHARACTERS and len(clusters) <= _MAX_TITLE
    return line if is_whole else "".join(clusters[:_MAX_TITLE]) + "…"


def unsaved(text: str) -> StoredMessage:
    """User message that no history has yet."""
    return StoredMessage(0, "", None, "user", text, 0.0)
