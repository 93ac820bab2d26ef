"""`Branch`: the messages from the first to the one where a conversation stands, written through to a `History`.

If the history cannot be written, the branch continues in one in memory: no message is lost while the program runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ..errors import HistoryError
from .history import History
from .records import ConversationTree, Role, State, StoredConversation, StoredMessage

T = TypeVar("T")


class Branch:
    """Branch of one conversation in a history.

    `messages` are those of the branch, the last one with its text so far. `system` and `persona` are stored with the
    first message. `on_failure` gets the error when the history fails; from then on `history` is one in memory.
    """

    def __init__(self, history: History, on_failure: Callable[[HistoryError], None]) -> None:
        self.history = history
        self.conversation: StoredConversation | None = None  # None before the first message
        self.messages: list[StoredMessage] = []
        self._on_failure = on_failure

    def open(self, conversation_id: str) -> StoredConversation:
        """Continue a stored conversation where it stands; a reply whose program was killed counts as cut.

        Raises HistoryError.
        """
        self.history.recover(conversation_id)
        conversation = self.history.conversation(conversation_id)
        self.messages = [] if conversation.leaf is None else self.history.path(conversation.leaf)
        self.conversation = conversation
        return conversation

    def start(self, model: str, system: str | None, persona: str | None, title: str | None) -> None:
        """Store a new conversation, if there is none yet."""
        if self.conversation is None:
            self.conversation = self._kept(
                lambda: self.history.conversation(self.history.create(title, model, system, persona))
            )

    def rename(self, title: str | None) -> None:
        """Store the conversation's title, once it has messages."""
        if self.conversation:
            self._kept(lambda: self.history.rename(self.id, title))
            self.conversation = replace(self.conversation, title=title)

    def add(self, role: Role, content: str, *, state: State = "complete", model: str | None = None) -> StoredMessage:
        """Store the next message of the branch."""

        def stored() -> StoredMessage:
            parent = self.messages[-1].id if self.messages else None
            id_ = self.history.add_message(self.id, parent, role, content, state=state, model=model)
            return self.history.message(id_)

        message = self._kept(stored)
        self.messages.append(message)
        return message

    def append(self, text: str) -> None:
        """Store a delta of the last message, which streams."""
        self._kept(lambda: self.history.append(self.messages[-1].id, text))
        self._replace_last(content=self.messages[-1].content + text)

    def finish(self, content: str, state: State, figures: Mapping[str, Any] | None) -> None:
        """Store the whole of the last message, which streamed."""
        self._kept(lambda: self.history.finish(self.messages[-1].id, content, state, figures))
        self._replace_last(content=content, state=state, figures=figures)

    def discard(self) -> None:
        """Remove the last message, for which there was no reply, and a conversation that has no other."""
        if len(self.messages) > 1:
            self._kept(lambda: self.history.discard(self.messages[-1].id))
            self.messages.pop()
        else:
            self._kept(lambda: self._discard_only())
            self.messages.clear()

    def stand_at(self, message_id: int | None) -> None:
        """Change to the branch that ends with a message; None is before the first. Raises HistoryError."""
        messages = [] if message_id is None else self.history.path(message_id)
        if self.conversation is not None:
            self._kept(lambda: self.history.set_leaf(self.id, message_id))
        self.messages = messages

    def go_back(self, n_messages: int) -> None:
        """Stand at the last of the first `n_messages`; the others stay in the history."""
        dropped, self.messages = self.messages[n_messages:], self.messages[:n_messages]
        if dropped:
            self._kept(lambda: self.history.set_leaf(self.id, self.messages[-1].id if self.messages else None))

    @property
    def context_start(self) -> int:
        """Number of messages of the branch that have left the model's context."""
        start = self.conversation.context_start if self.conversation else None
        return next((place for place, message in enumerate(self.messages) if message.id == start), 0)

    @context_start.setter
    def context_start(self, n_messages: int) -> None:
        def stored() -> int | None:
            start = self.messages[n_messages].id if n_messages else None
            self.history.set_context_start(self.id, start)
            return start

        start = self._kept(stored)
        if self.conversation:
            self.conversation = replace(self.conversation, context_start=start)

    @property
    def id(self) -> str:
        """Id of the conversation; "" before its first message."""
        return self.conversation.id if self.conversation else ""

    def _discard_only(self) -> None:
        self.history.discard(self.messages[-1].id)
        if self.history.tree(self.id).messages:  # other branches
            return
        self.history.remove(self.id)
        self.conversation = None

    def _replace_last(self, **changes: Any) -> None:
        self.messages[-1] = replace(self.messages[-1], **changes)

    def _kept(self, action: Callable[[], T]) -> T:
        """Result of `action` on the history; if that fails, on one in memory with the same branch."""
        try:
            return action()
        except HistoryError as error:
            if self.history.file is None:
                raise
            self._move_to_memory()
            self._on_failure(error)
            return action()

    def _move_to_memory(self) -> None:
        """Copy the branch to a history in memory; ids change."""
        memory = History.in_memory()
        if self.conversation:
            leaf = self.messages[-1].id if self.messages else None
            parents = [None, *(message.id for message in self.messages)]
            chain = [replace(one, parent=parent) for one, parent in zip(self.messages, parents, strict=False)]
            start = self.conversation.context_start
            known = start if any(one.id == start for one in chain) else None
            conversation = replace(self.conversation, leaf=leaf, context_start=known)
            (id_,) = memory.insert([ConversationTree(conversation, tuple(chain))])
            self.conversation = memory.conversation(id_)
            self.messages = [] if self.conversation.leaf is None else memory.path(self.conversation.leaf)
        self.history = memory
