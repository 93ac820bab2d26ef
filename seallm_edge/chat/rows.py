"""Rows of the history file: SQL statements, and rows as records. Every function runs in its caller's transaction.

A row of a damaged file raises sqlite3.DatabaseError; an id that does not exist raises HistoryError.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from ..errors import ConversationNotFound, HistoryError
from . import search
from .finding import LIST_THEM
from .records import (
    ROLES,
    STATES,
    ConversationSummary,
    ConversationTree,
    Role,
    State,
    StoredConversation,
    StoredMessage,
    title_from,
)

_CONVERSATION = "id, title, created, updated, model, system, persona, leaf, context_start"
_MESSAGE = "id, conversation, parent, role, content, created, state, model, figures"
_FIRST_TEXT = """CASE WHEN title IS NULL THEN (
        SELECT substr(content, 1, 500) FROM messages
        WHERE conversation = conversations.id AND role = 'user' ORDER BY id LIMIT 1
    ) END"""
_SUMMARIES = f"""
    SELECT id, title, created, updated, model,
        (SELECT count(*) FROM messages WHERE conversation = conversations.id), {_FIRST_TEXT}
    FROM conversations ORDER BY updated DESC, rowid DESC LIMIT ? OFFSET ?"""
# A parent is older than its children, so the recursion ends in a damaged file too.
_PATH = f"""
    WITH RECURSIVE ancestors (id) AS (
        VALUES (?)
        UNION
        SELECT messages.parent FROM messages JOIN ancestors USING (id) WHERE messages.parent < messages.id
    )
    SELECT {_MESSAGE} FROM messages WHERE id IN ancestors ORDER BY id"""

_TEXT, _MAYBE_TEXT, _TIME = (str,), (str, type(None)), (float, int)
_ID, _MAYBE_ID = (int,), (int, type(None))
_CONVERSATION_TYPES = (_TEXT, _MAYBE_TEXT, _TIME, _TIME, *3 * [_MAYBE_TEXT], _MAYBE_ID, _MAYBE_ID)
_MESSAGE_TYPES = (_ID, _TEXT, _MAYBE_ID, _TEXT, _TEXT, _TIME, _TEXT, _MAYBE_TEXT, _MAYBE_TEXT)
_SUMMARY_TYPES = (_TEXT, _MAYBE_TEXT, _TIME, _TIME, _MAYBE_TEXT, _ID, _MAYBE_TEXT)


def conversation(connection: sqlite3.Connection, conversation_id: str) -> StoredConversation:
    """Conversation of this id."""
    row = connection.execute(
        f"SELECT {_CONVERSATION} FROM conversations WHERE id = ?", (storable(conversation_id),)
    ).fetchone()
    if row is None:
        raise no_conversation(conversation_id)
    return StoredConversation(*_checked(row, _CONVERSATION_TYPES))


def summaries(connection: sqlite3.Connection, limit: int | None, offset: int) -> list[ConversationSummary]:
    """Summaries of conversations, that with the latest message first."""
    rows = connection.execute(_SUMMARIES, (-1 if limit is None else max(limit, 0), max(offset, 0)))
    return [_summary(_checked(row, _SUMMARY_TYPES)) for row in rows]


def titles(connection: sqlite3.Connection) -> dict[str, str]:
    """Titles of all conversations by id, as in the list, that with the latest message first."""
    sql = f"SELECT id, title, {_FIRST_TEXT} FROM conversations ORDER BY updated DESC, rowid DESC"
    rows = [_checked(row, (_TEXT, _MAYBE_TEXT, _MAYBE_TEXT)) for row in connection.execute(sql)]
    return {id_: own or title_from(first_text or "") for id_, own, first_text in rows}


def title(connection: sqlite3.Connection, conversation_id: str) -> str:
    """Title of a conversation as in the list: its own, or the first line of its first user message."""
    sql = f"SELECT title, {_FIRST_TEXT} FROM conversations WHERE id = ?"
    row = connection.execute(sql, (conversation_id,)).fetchone()
    own, first_text = _checked(row or (None, None), (_MAYBE_TEXT, _MAYBE_TEXT))
    return own or title_from(first_text or "")


def message(connection: sqlite3.Connection, message_id: int) -> StoredMessage:
    """Message of this id."""
    for found in _messages(connection, f"SELECT {_MESSAGE} FROM messages WHERE id = ?", message_id):
        return found
    raise _no_message(message_id)


def path(connection: sqlite3.Connection, leaf: int) -> list[StoredMessage]:
    """Messages from the first to `leaf`."""
    found = _messages(connection, _PATH, leaf)
    if not found:
        raise _no_message(leaf)
    if found[0].parent is not None:
        raise sqlite3.DatabaseError(f"the parent of message {found[0].id} is missing")
    return found


def children(connection: sqlite3.Connection, parent: int) -> list[StoredMessage]:
    """Messages whose parent is `parent`, the oldest first."""
    return _messages(connection, f"SELECT {_MESSAGE} FROM messages WHERE parent = ? ORDER BY id", parent)


def first_messages(connection: sqlite3.Connection, conversation: str) -> list[StoredMessage]:
    """Messages of a conversation without a parent, the oldest first."""
    sql = f"SELECT {_MESSAGE} FROM messages WHERE conversation = ? AND parent IS NULL ORDER BY id"
    return _messages(connection, sql, conversation)


def messages(connection: sqlite3.Connection, conversation: str) -> list[StoredMessage]:
    """Messages of a conversation, the oldest first."""
    return _messages(connection, f"SELECT {_MESSAGE} FROM messages WHERE conversation = ? ORDER BY id", conversation)


def streaming(connection: sqlite3.Connection, conversation: str) -> list[StoredMessage]:
    """Messages of a conversation in the state "streaming", the oldest first."""
    sql = f"SELECT {_MESSAGE} FROM messages WHERE conversation = ? AND state = 'streaming' ORDER BY id"
    return _messages(connection, sql, conversation)


def insert_conversation(connection: sqlite3.Connection, new: StoredConversation) -> None:
    """Store a conversation without its messages."""
    values = (new.id, new.title, new.created, new.updated, new.model, new.system, new.persona)
    sql = f"INSERT INTO conversations ({_CONVERSATION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    connection.execute(sql, (*map(storable, values), new.leaf, new.context_start))


def insert_tree(connection: sqlite3.Connection, tree: ConversationTree) -> str:
    """Store a conversation with all its messages, under ids of their own: the conversation's id."""
    old = tree.conversation
    id_ = new_id()
    ids: dict[int | None, int | None] = {None: None}
    insert_conversation(connection, replace(old, id=id_, leaf=None, context_start=None))
    for message in tree.messages:
        copy = replace(message, conversation=id_, parent=ids[message.parent])
        ids[message.id] = insert_message(connection, copy)
    update(connection, id_, leaf=ids.get(old.leaf), context_start=ids.get(old.context_start))
    return id_


def new_id() -> str:
    """Random id of a conversation: ten hexadecimal digits."""
    return os.urandom(5).hex()


def insert_message(connection: sqlite3.Connection, new: StoredMessage) -> int:
    """Store a message under an id of its own, which is returned; the id of `new` is not used."""
    if new.role not in ROLES:
        raise HistoryError(f"a message has the role {new.role!r}", f"the roles are {', '.join(ROLES)}")
    check_state(new.state, STATES)
    values = (new.conversation, new.parent, new.role, new.content, new.created, new.state, new.model)
    sql = f"INSERT INTO messages ({_MESSAGE}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)"
    id_ = connection.execute(sql, (*map(storable, values), _json(new.figures))).lastrowid
    if id_ is None:
        raise sqlite3.DatabaseError("a message was stored without an id")
    if new.state != "streaming":
        search.add(connection, id_, storable(new.content))
    return id_


def complete(
    connection: sqlite3.Connection, message_id: int, content: str, state: State, figures: Mapping[str, Any] | None
) -> None:
    """Replace the content so far of a message by the whole one, and drop its deltas."""
    check_state(state, ("complete", "cut"))
    search.forget(connection, message_id)
    sql = "UPDATE messages SET content = ?, state = ?, figures = ?, indexed = 0 WHERE id = ?"
    connection.execute(sql, (storable(content), state, _json(figures), message_id))
    connection.execute("DELETE FROM deltas WHERE message = ?", (message_id,))
    search.add(connection, message_id, storable(content))


def append(connection: sqlite3.Connection, message_id: int, text: str) -> bool:
    """Store a delta of a streaming message: whether there is such a message."""
    sql = """INSERT INTO deltas (message, number, text)
        SELECT id, (SELECT coalesce(max(number), 0) + 1 FROM deltas WHERE message = messages.id), ?
        FROM messages WHERE id = ? AND state = 'streaming'"""
    return connection.execute(sql, (storable(text), message_id)).rowcount == 1


def resume(connection: sqlite3.Connection, message_id: int) -> None:
    """Set a message back to the state "streaming"."""
    search.forget(connection, message_id)
    connection.execute("UPDATE messages SET state = 'streaming', indexed = 0 WHERE id = ?", (message_id,))


def update(connection: sqlite3.Connection, conversation_id: str, **values: Any) -> None:
    """Set columns of a conversation."""
    columns = ", ".join(f"{name} = ?" for name in values)
    parameters = (*map(storable, values.values()), storable(conversation_id))
    if not connection.execute(f"UPDATE conversations SET {columns} WHERE id = ?", parameters).rowcount:
        raise no_conversation(conversation_id)


def delete_conversation(connection: sqlite3.Connection, conversation_id: str) -> None:
    """Delete a conversation, its messages, their deltas and their entries in the search index."""
    key = (conversation(connection, conversation_id).id,)
    for (message_id,) in connection.execute("SELECT id FROM messages WHERE conversation = ?", key).fetchall():
        search.forget(connection, message_id)
    connection.execute("DELETE FROM messages WHERE conversation = ?", key)
    connection.execute("DELETE FROM conversations WHERE id = ?", key)


def delete_message(connection: sqlite3.Connection, message_id: int) -> None:
    """Delete a message, its deltas and its entries in the search index."""
    search.forget(connection, message_id)
    connection.execute("DELETE FROM messages WHERE id = ?", (message_id,))


def storable(value: Any) -> Any:
    """The value, with U+FFFD for lone surrogates in a text: UTF-8 cannot express them."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def check_state(state: str, allowed: Sequence[State]) -> None:
    """Raise HistoryError unless the state is allowed."""
    if state not in allowed:
        raise HistoryError(f"a message has the state {state!r}", f"the states are {', '.join(allowed)}")


def no_conversation(conversation_id: str) -> HistoryError:
    """Error for an id of no conversation."""
    return ConversationNotFound(f"no conversation has the id {conversation_id!r}", LIST_THEM)


def _no_message(message_id: int) -> HistoryError:
    return ConversationNotFound(f"no message has the id {message_id}", "its conversation may have been removed")


def _messages(connection: sqlite3.Connection, sql: str, key: int | str) -> list[StoredMessage]:
    rows = connection.execute(sql, (storable(key),)).fetchall()
    return [_message(connection, _checked(row, _MESSAGE_TYPES)) for row in rows]


def _message(connection: sqlite3.Connection, values: tuple[Any, ...]) -> StoredMessage:
    id_, conversation_, parent, role, content, created, state, model, figures = values
    if role not in ROLES or state not in STATES:
        raise sqlite3.DatabaseError(f"message {id_} has the role {role!r} and the state {state!r}")
    if state == "streaming":
        deltas = connection.execute("SELECT text FROM deltas WHERE message = ? ORDER BY number", (id_,))
        content += "".join(_checked(row, (_TEXT,))[0] for row in deltas)
    return StoredMessage(
        *(id_, conversation_, parent, cast(Role, role), content, created, cast(State, state), model),
        figures=_from_json(figures),
    )


def _summary(values: tuple[Any, ...]) -> ConversationSummary:
    id_, title, created, updated, model, n_messages, first_text = values
    return ConversationSummary(id_, title or title_from(first_text or ""), created, updated, model, n_messages)


def _checked(row: tuple[Any, ...], types: Iterable[tuple[type, ...]]) -> tuple[Any, ...]:
    for value, allowed in zip(row, types, strict=True):
        if not isinstance(value, allowed):
            raise sqlite3.DatabaseError(f"a row holds a value of a wrong type, {type(value).__name__}")
    return row


def _json(figures: Mapping[str, Any] | None) -> str | None:
    """JSON text of figures; null for numbers that JSON cannot express."""
    if figures is None:
        return None
    try:
        text = json.dumps(dict(figures))
    except (TypeError, ValueError, RecursionError) as error:
        raise HistoryError(f"the figures of a message are no JSON: {error}", "give numbers and texts") from error
    return json.dumps(json.loads(text, parse_constant=lambda _: None))


def _from_json(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        figures = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise sqlite3.DatabaseError(f"the figures of a message are damaged: {error}") from error
    if not isinstance(figures, dict):
        raise sqlite3.DatabaseError("the figures of a message are damaged")
    return figures
