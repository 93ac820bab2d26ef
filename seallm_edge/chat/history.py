"""`History`: conversations kept in one SQLite file, each a tree of messages. Knows no model and no screen.

An edit or a retry is another child of the same parent: nothing stored is overwritten. A reply is stored while it
streams, delta by delta, so that the end of the process loses no text that was shown.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from .. import paths
from ..errors import HistoryError
from . import finding, rows, search
from .database import Database
from .records import (
    ConversationSummary,
    ConversationTree,
    Match,
    Role,
    State,
    StoredConversation,
    StoredMessage,
)


class History:
    """Chat history in the file `path`, by default that of SEALLM_HOME; created at the first use, private to its owner.

    Any thread may use it, and several programs may use one file. Every method raises HistoryError if the file cannot be
    read or written, is damaged, or is locked by another program for 5 seconds, and if an id does not exist.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self._set_up(Path(path) if path is not None else paths.history_file())

    @classmethod
    def in_memory(cls) -> History:
        """History that is kept in memory only, and ends with this object; its `file` is None."""
        self = cls.__new__(cls)
        self._set_up(None)
        return self

    def _set_up(self, file: Path | None) -> None:
        self.file = file
        self._database = Database(file)
        self._writing: set[int] = set()  # replies that this object streams: `recover` leaves them

    def conversations(self, limit: int | None = None, offset: int = 0) -> list[ConversationSummary]:
        """Summaries of conversations, that with the latest message first."""
        with self._database.read() as connection:
            return rows.summaries(connection, limit, offset)

    def conversation(self, conversation_id: str) -> StoredConversation:
        """Conversation of this id, without its messages."""
        with self._database.read() as connection:
            return rows.conversation(connection, conversation_id)

    def find(self, name_or_id: str) -> StoredConversation:
        """Conversation by its title, or by a beginning of its id or title that no other has; case does not matter.

        Raises HistoryError where none or several fit, and names the nearest.
        """
        with self._database.read() as connection:
            return rows.conversation(connection, finding.find(rows.titles(connection), name_or_id))

    def named(self, title_or_id: str) -> StoredConversation | None:
        """Conversation of exactly this title or id, whatever the case; None if there is none. Raises HistoryError for a
        title that several have.
        """
        with self._database.read() as connection:
            id_ = finding.named(rows.titles(connection), title_or_id)
            return rows.conversation(connection, id_) if id_ else None

    def message(self, message_id: int) -> StoredMessage:
        """Message of this id; of a reply under way, its text so far."""
        with self._database.read() as connection:
            return rows.message(connection, message_id)

    def path(self, leaf: int) -> list[StoredMessage]:
        """Messages of the branch that ends with `leaf`, from the first on."""
        with self._database.read() as connection:
            return rows.path(connection, leaf)

    def branches(self, message_id: int) -> list[StoredMessage]:
        """Siblings of a message, itself included, the oldest first: its edits or retries."""
        with self._database.read() as connection:
            own = rows.message(connection, message_id)
            if own.parent is None:
                return rows.first_messages(connection, own.conversation)
            return rows.children(connection, own.parent)

    def children(self, message_id: int) -> list[StoredMessage]:
        """Messages that follow a message, the oldest first: one for each branch."""
        with self._database.read() as connection:
            return rows.children(connection, rows.message(connection, message_id).id)

    def tree(self, conversation_id: str) -> ConversationTree:
        """Conversation with the messages of all its branches."""
        with self._database.read() as connection:
            return ConversationTree(
                rows.conversation(connection, conversation_id), tuple(rows.messages(connection, conversation_id))
            )

    def search(self, text: str, limit: int = 20) -> list[Match]:
        """Matches for messages in which every word of `text` occurs, also inside other words; the latest first.

        Case, Unicode composition and invisible characters do not matter. A reply is found once it is finished.
        """
        terms = search.terms_of(text)
        if not terms or limit < 1:
            return []
        with self._database.read() as connection:
            is_behind = search.has_unindexed(connection)
        if is_behind:
            with self._database.write() as connection:
                search.catch_up(connection)
        with self._database.read() as connection:
            found = [rows.message(connection, message_id) for message_id in search.find(connection, terms, limit)]
            titles = {one.conversation: rows.title(connection, one.conversation) for one in found}
        return [
            Match(
                *(one.conversation, titles[one.conversation], one.id, one.role, one.created),
                snippet=search.snippet(one.content, terms[0]),
            )
            for one in found
        ]

    def create(
        self,
        title: str | None = None,
        model: str | None = None,
        system: str | None = None,
        persona: str | None = None,
    ) -> str:
        """Id of a stored conversation without messages: ten hexadecimal digits."""
        now = time.time()
        new = StoredConversation(rows.new_id(), title, now, now, model, system, persona, None, None)
        with self._database.write() as connection:
            rows.insert_conversation(connection, new)
        return new.id

    def insert(self, trees: Iterable[ConversationTree]) -> list[str]:
        """Ids of the stored trees, which all get ids of their own, as do their messages. All are stored, or none."""
        with self._database.write() as connection:
            return [rows.insert_tree(connection, tree) for tree in trees]

    def add_message(
        self,
        conversation_id: str,
        parent: int | None,
        role: Role,
        content: str,
        *,
        state: State = "complete",
        model: str | None = None,
        figures: Mapping[str, Any] | None = None,
    ) -> int:
        """Id of a message stored as the last child of `parent`; the conversation then stands at it.

        With the state "streaming" it is a reply for `append` and `finish`. `model` becomes that of the conversation.
        """
        now = time.time()
        new = StoredMessage(0, conversation_id, parent, role, content, now, state, model, figures)
        with self._database.write(durable=state != "streaming") as connection:
            rows.update(connection, conversation_id, updated=now, **({} if model is None else {"model": model}))
            if parent is not None:
                _check_belongs(connection, parent, conversation_id)
            message_id = rows.insert_message(connection, new)
            rows.update(connection, conversation_id, leaf=message_id)
        if state == "streaming":
            self._writing.add(message_id)
        return message_id

    def append(self, message_id: int, text: str) -> None:
        """Store a delta of a streaming reply, before it is shown. It survives the end of the process, not a power cut.

        Takes some 30 microseconds.
        """
        with self._database.write(durable=False) as connection:
            if rows.append(connection, message_id, text):
                return
            self._check_open_for_writing(rows.message(connection, message_id))
            rows.resume(connection, message_id)
            rows.append(connection, message_id, text)

    def reopen(self, message_id: int) -> None:
        """Let a reply stream again, behind the text that it has. Raises HistoryError if it is no reply, if it streams,
        or if other messages follow it.
        """
        with self._database.write() as connection:
            reply = rows.message(connection, message_id)
            if reply.role != "assistant" or reply.state == "streaming" or rows.children(connection, message_id):
                raise HistoryError(f"message {message_id} is no reply that can be continued", "regenerate it")
            rows.resume(connection, message_id)
        self._writing.add(message_id)

    def finish(
        self, message_id: int, content: str, state: State = "complete", figures: Mapping[str, Any] | None = None
    ) -> None:
        """Store the whole content of a streaming reply in place of its deltas, and flush it to the disk.

        `state` is "complete", or "cut" if the reply ended early.
        """
        with self._database.write() as connection:
            reply = rows.message(connection, message_id)
            if reply.state != "streaming":
                self._check_open_for_writing(reply)
            rows.complete(connection, message_id, content, state, figures)
            rows.update(connection, reply.conversation, updated=time.time())
        self._writing.discard(message_id)

    def discard(self, message_id: int) -> None:
        """Remove the last message of a branch, and let the conversation stand at its parent: a turn that was refused.

        Raises HistoryError if other messages follow it.
        """
        with self._database.write() as connection:
            message = rows.message(connection, message_id)
            if rows.children(connection, message_id):
                raise HistoryError(f"message {message_id} has others that follow it", "remove the conversation")
            rows.update(connection, message.conversation, leaf=message.parent)
            if rows.conversation(connection, message.conversation).context_start == message_id:
                rows.update(connection, message.conversation, context_start=None)
            rows.delete_message(connection, message_id)
        self._writing.discard(message_id)

    def recover(self, conversation_id: str) -> list[int]:
        """Ids of replies in the state "streaming" that are now "cut", with their text so far: their writer was killed.

        Call it before you continue a conversation. A reply that this object streams is left alone; one that another
        program streams becomes "streaming" again with its next delta.
        """
        with self._database.write() as connection:
            rows.conversation(connection, conversation_id)
            killed = [one for one in rows.streaming(connection, conversation_id) if one.id not in self._writing]
            for reply in killed:
                rows.complete(connection, reply.id, reply.content, "cut", reply.figures)
        return [reply.id for reply in killed]

    def set_leaf(self, conversation_id: str, message_id: int | None) -> None:
        """Let the conversation stand at a message of it: the next one is added there. None is before the first."""
        self._set_message(conversation_id, leaf=message_id)

    def set_context_start(self, conversation_id: str, message_id: int | None) -> None:
        """Set the oldest message in the model's context; None if all are in it."""
        self._set_message(conversation_id, context_start=message_id)

    def rename(self, conversation_id: str, title: str | None) -> None:
        """Set the title; None for the first line of the first user message."""
        self._set(conversation_id, title=title)

    def set_system(self, conversation_id: str, system: str | None, persona: str | None = None) -> None:
        """Set the system message, and the name of the persona that it comes from."""
        self._set(conversation_id, system=system, persona=persona)

    def remove(self, conversation_id: str) -> None:
        """Remove a conversation and all its messages, also from the search index. The file shrinks by them."""
        with self._database.write() as connection:
            rows.delete_conversation(connection, conversation_id)
        with self._database.write() as connection:
            search.purge(connection)
        self._database.compact()

    def close(self) -> None:
        """Close the file. May be called twice; any other method then raises HistoryError."""
        self._database.close()

    def __enter__(self) -> History:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def _set(self, conversation_id: str, **values: str | None) -> None:
        with self._database.write() as connection:
            rows.update(connection, conversation_id, **values)

    def _set_message(self, conversation_id: str, **values: int | None) -> None:
        with self._database.write() as connection:
            for message_id in values.values():
                if message_id is not None:
                    _check_belongs(connection, message_id, conversation_id)
            rows.update(connection, conversation_id, **values)

    def _check_open_for_writing(self, reply: StoredMessage) -> None:
        if reply.state == "complete" or reply.id not in self._writing:
            raise HistoryError(f"message {reply.id} is finished: its state is {reply.state!r}", "add another message")


def _check_belongs(connection: sqlite3.Connection, message_id: int, conversation_id: str) -> None:
    owner = rows.message(connection, message_id).conversation
    if owner != conversation_id:
        raise HistoryError(
            f"message {message_id} belongs to another conversation, {owner!r}", "give a message of this one"
        )
