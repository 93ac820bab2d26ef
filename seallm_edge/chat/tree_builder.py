"""Tree of an imported conversation under construction: messages in any order, under the ids of their file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .fields import Fields, shown
from .records import ConversationTree, Role, State, StoredConversation, StoredMessage

Key = str | int


@dataclass(frozen=True)
class ImportedMessage:
    """Message without its place in the tree. `role` None: it is left out."""

    role: Role | None
    content: str
    created: float
    state: State = "complete"
    model: str | None = None
    figures: Mapping[str, Any] | None = None


class TreeBuilder:
    """Conversation to which messages are added in the order of their file; `finish` checks and sorts them.

    A message that is left out keeps its place, so that its children follow the message before it. `last` is the key of
    the last added one.
    """

    def __init__(
        self,
        fields: Fields,
        title: str | None,
        created: float,
        updated: float,
        model: str | None = None,
        system: str | None = None,
        persona: str | None = None,
    ) -> None:
        self._fields = fields
        self._conversation = StoredConversation("", title, created, updated, model, system, persona, None, None)
        self._parents: dict[Key, Key | None] = {}
        self._messages: dict[Key, ImportedMessage | None] = {}
        self.last: Key | None = None

    def add(self, key: Any, parent: Any, message: ImportedMessage | None) -> None:
        """Add a message under its key in the file. Raises HistoryError if the key is taken, or no text or number."""
        self._check_key(key)
        if parent is not None:
            self._check_key(parent)
        if key in self._messages:
            raise self._fields.error(f"has two messages {shown(key)}")
        self._parents[key] = parent
        self._messages[key] = message
        self.last = key

    def finish(self, leaf: Any = None, context_start: Any = None) -> ConversationTree:
        """Tree with the ids 1, 2, …, parents first. Raises HistoryError for a cycle and for keys of no message."""
        stored: list[StoredMessage] = []
        ids: dict[Key | None, int | None] = {None: None}  # a message that is left out has the id of the one before
        for key in self._parents_first():
            parent, message = ids[self._parents[key]], self._messages[key]
            ids[key] = parent
            if message is not None and message.role is not None:
                ids[key] = len(stored) + 1
                stored.append(_stored(len(stored) + 1, parent, message.role, message))
        for key in (leaf, context_start):
            if key is not None:
                self._check_exists(key, "stands at")
        old = self._conversation
        conversation = StoredConversation(
            *("", old.title, old.created, old.updated, old.model, old.system, old.persona),
            leaf=ids[leaf],
            context_start=ids[context_start],
        )
        return ConversationTree(conversation, tuple(stored))

    def _parents_first(self) -> list[Key]:
        """Keys in the order of the file, but each after its parent."""
        ordered: dict[Key, None] = {}
        for key in self._messages:
            chain: dict[Key, None] = {}
            at: Key | None = key
            while at is not None and at not in ordered:
                if at in chain:
                    raise self._fields.error(f"has a cycle: message {shown(at)} is its own ancestor")
                chain[at] = None
                at = self._parents[at]
                if at is not None:
                    self._check_exists(at, "has a message under")
            ordered.update(dict.fromkeys(reversed(chain)))
        return [*ordered]

    def _check_key(self, key: Any) -> None:
        if not isinstance(key, str | int) or isinstance(key, bool):
            raise self._fields.error("has a message whose id or parent is no text and no whole number")

    def _check_exists(self, key: Any, relation: str) -> None:
        self._check_key(key)
        if key not in self._messages:
            raise self._fields.error(f"{relation} the message {shown(key)}, which does not exist")


def _stored(number: int, parent: int | None, role: Role, message: ImportedMessage) -> StoredMessage:
    return StoredMessage(
        *(number, "", parent, role, message.content, message.created, message.state, message.model, message.figures)
    )
