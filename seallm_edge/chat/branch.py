"""`Branch`: the messages from the first to the one where a conversation stands, written through to a `History`.

If the history file cannot be written, the branch continues in a history in memory, and returns to the file once that
can be written again: no message is lost while the program runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from ..errors import HistoryError, HistoryUnavailable
from .history import History
from .records import ConversationTree, Role, State, StoredConversation, StoredMessage

T = TypeVar("T")
_LONGEST_PREFILL_SECONDS = 600.0  # of another program; a reply that has no text yet is its own for so long
_RETRY_SECONDS = 30.0  # between tries to write the file again: a locked one takes 5 seconds to refuse


class Mark(NamedTuple):
    """State of a branch, to restore it."""

    history: History
    conversation: StoredConversation | None
    messages: list[StoredMessage]
    context_start: int


class Branch:
    """Branch of one conversation in a history.

    `messages` are those of the branch, the last one with its text so far. `on_failure` gets the error when the history
    file fails; from then on `history` is one in memory.
    """

    def __init__(self, history: History, on_failure: Callable[[HistoryError], None]) -> None:
        self.history = history
        self.conversation: StoredConversation | None = None  # None before the first message
        self.messages: list[StoredMessage] = []
        self._on_failure = on_failure
        self._lost: _LostFile | None = None  # the file that could not be written

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

    def reopen(self) -> None:
        """Let the last message, a reply, stream again behind its text."""
        self._kept(lambda: self.history.reopen(self.messages[-1].id))
        self._replace_last(state="streaming")

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
        self._kept(self._discard_last)
        self.messages.pop()
        self._remove_if_empty()

    def stand_at(self, message_id: int | None) -> None:
        """Change to the branch that ends with a message of it, None: that is empty. Raises HistoryError."""
        messages = [] if message_id is None else self.history.path(message_id)
        if messages and messages[0].conversation != self.id:
            raise HistoryError(f"message {message_id} belongs to another conversation", "open that one first")
        self._stand_at(messages)

    def stand_at_newest(self, message_id: int) -> None:
        """Stand at the newest message with text below a message, or at itself. Raises HistoryError."""
        while children := self._children(message_id):
            message_id = children[-1].id
        self.stand_at(message_id)

    def settle_end(self) -> str | None:
        """Leave a reply without text at the end out: its program was killed during the prefill, or is still at it, and
        so it is removed only some time later. An earlier reply to the same message takes its place; without one, the
        text of the message is returned.
        """
        while self.messages and self.messages[-1].role == "assistant" and not self.messages[-1].content:
            if time.time() - self.messages[-1].created < _LONGEST_PREFILL_SECONDS:
                self._stand_at(self.messages[:-1])
            else:
                self.discard()
        if not self.messages or self.messages[-1].role != "user":
            return None
        user = self.messages[-1]
        if not self._children(user.id):
            return user.content
        self.stand_at_newest(user.id)
        return None

    def go_back(self, n_messages: int) -> None:
        """Stand at the last of the first `n_messages`; the others stay in the history."""
        if n_messages < len(self.messages):
            self._stand_at(self.messages[:n_messages])

    def mark(self) -> Mark:
        """State of the branch, for `restore`."""
        return Mark(self.history, self.conversation, list(self.messages), self.context_start)

    def restore(self, mark: Mark) -> None:
        """Remove the messages added since `mark`, and stand where the branch stood then."""
        if self.history is mark.history:
            self._take_back(mark)
        if self.history is not mark.history:  # the file failed, before or now: the ids in it are of no use
            self.conversation, self.messages = mark.conversation or self.conversation, mark.messages
            self._move_to_memory()
        self._remove_if_empty()
        if self.conversation and self.context_start != mark.context_start:
            self.context_start = mark.context_start

    def _take_back(self, mark: Mark) -> None:
        """Remove the messages added since `mark`, as long as the history is that of `mark`."""
        known = {message.id for message in mark.messages}
        if self.conversation and self.context_start != mark.context_start:
            self.context_start = 0  # it may be a message that goes now
        while self.history is mark.history and self.messages and self.messages[-1].id not in known:
            self.discard()
        if self.history is mark.history and self.conversation:
            self._stand_at(mark.messages)

    def prepare(self) -> None:
        """Prepare for the next turn: store in the history file what is only in memory, if the file can be written again
        (it is tried seldom), and end a reply that Ctrl-C left open.
        """
        if self._lost and time.monotonic() >= self._lost.next_try:
            self.save()
        if self.messages and self.messages[-1].state == "streaming":  # Ctrl-C came while its end was stored
            self.finish(self.messages[-1].content, "cut", None)

    def save(self) -> bool:
        """Store in the history file what is only in memory: whether nothing is left to store."""
        if self._lost:
            try:
                self._lost.store(self)
            except HistoryError:
                self._lost.next_try = time.monotonic() + _RETRY_SECONDS
        return self._lost is None

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

    def _children(self, message_id: int) -> list[StoredMessage]:
        """Messages with text that follow a message."""
        return [one for one in self.history.children(message_id) if one.content]

    def _remove_if_empty(self) -> None:
        if not self.messages and self.conversation and not self._kept(lambda: self.history.tree(self.id).messages):
            self._kept(lambda: self.history.remove(self.id))
            self.conversation = None

    def _stand_at(self, messages: list[StoredMessage]) -> None:
        self.messages = list(messages)
        if self.conversation:
            self._kept(lambda: self.history.set_leaf(self.id, self.messages[-1].id if self.messages else None))

    def _discard_last(self) -> None:
        if self.history.children(self.messages[-1].id):  # another program went on from it
            self.history.set_leaf(self.id, self.messages[-1].parent)
        else:
            self.history.discard(self.messages[-1].id)

    def _replace_last(self, **changes: Any) -> None:
        self.messages[-1] = replace(self.messages[-1], **changes)

    def _kept(self, action: Callable[[], T]) -> T:
        """Result of `action` on the history; if its file fails, on one in memory with the same branch."""
        try:
            return action()
        except HistoryUnavailable as error:
            if self.history.file is None:
                raise
            self._lost = _LostFile(self.history, self.conversation, list(self.messages))
            self._move_to_memory()
            self._on_failure(error)
            return action()

    def _move_to_memory(self) -> None:
        """Copy the branch to a history in memory; ids change."""
        memory = History.in_memory()
        if self.conversation:
            leaf = self.messages[-1].id if self.messages else None
            conversation = replace(self.conversation, leaf=leaf)
            (id_,) = memory.insert([ConversationTree(conversation, tuple(_chained(self.messages)))])
            self.conversation = memory.conversation(id_)
            self.messages = [] if self.conversation.leaf is None else memory.path(self.conversation.leaf)
        self.history = memory


class _LostFile:
    """History file that could not be written: the messages that it has of a branch, and when to try again."""

    def __init__(
        self, history: History, conversation: StoredConversation | None, messages: list[StoredMessage]
    ) -> None:
        self.history = history
        self.next_try = 0.0
        self._conversation = conversation
        self._messages = [message for message in messages if message.state != "streaming"]

    def store(self, branch: Branch) -> None:
        """Store the rest of the branch behind what the file has, and move the branch there. Raises HistoryError."""
        ours = branch.conversation
        if ours is None:
            branch.history, branch._lost = self.history, None
            return
        id_ = self._conversation.id if self._conversation else self._create(ours)
        parent, stored = None, []
        for place, message in enumerate(branch.messages):
            known = self._messages[place] if place < len(self._messages) else None
            if known is None or (known.role, known.content) != (message.role, message.content):
                self._messages = self._messages[:place]
                new = self.history.add_message(
                    *(id_, parent, message.role, message.content), state=message.state, model=message.model,
                    figures=message.figures,
                )  # fmt: skip
                known = self.history.message(new)
                self._messages.append(known)
            parent = known.id
            stored.append(known)
        start = branch.context_start
        self.history.set_leaf(id_, parent)
        branch.history, branch.messages, branch._lost = self.history, stored, None
        branch.conversation = self.history.conversation(id_)
        branch.context_start = start

    def _create(self, ours: StoredConversation) -> str:
        id_ = self.history.create(ours.title, ours.model, ours.system, ours.persona)
        self._conversation = self.history.conversation(id_)
        return id_


def _chained(messages: list[StoredMessage]) -> list[StoredMessage]:
    """Messages of a branch, each with the one before as its parent."""
    parents = [None, *(message.id for message in messages)]
    return [replace(one, parent=parent) for one, parent in zip(messages, parents, strict=False)]
