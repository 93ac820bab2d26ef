"""Schema of the history file as numbered migrations: migration n leads from version n - 1 to version n.

`PRAGMA user_version` holds the version. Before a migration a copy of the file is kept beside it, under the name of the
file and its version, such as history.sqlite.v1. Knows nothing of what is stored.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import HistoryError

APPLICATION_ID = 0x5365614C  # "SeaL", in the header of the file. ref: https://sqlite.org/pragma.html

# `indexed` is 1 once the search index has the message. `leaf` and `context_start` are no foreign keys: removing a
# message would look for it in every conversation.
_VERSION_1 = (
    """CREATE TABLE conversations (
        id TEXT PRIMARY KEY NOT NULL,
        title TEXT,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        model TEXT,
        system TEXT,
        persona TEXT,
        leaf INTEGER,
        context_start INTEGER
    )""",
    "CREATE INDEX conversations_by_time ON conversations (updated)",
    """CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation TEXT NOT NULL REFERENCES conversations (id),
        parent INTEGER REFERENCES messages (id) CHECK (parent < id),
        role TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'system')),
        content TEXT NOT NULL,
        created REAL NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('complete', 'streaming', 'cut')),
        model TEXT,
        figures TEXT,
        indexed INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX messages_by_conversation ON messages (conversation)",
    "CREATE INDEX messages_by_parent ON messages (parent)",
    "CREATE INDEX messages_unindexed ON messages (id) WHERE indexed = 0",
    """CREATE TABLE deltas (
        message INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (message, number)
    ) WITHOUT ROWID""",
)


def _create(connection: sqlite3.Connection) -> None:
    for statement in _VERSION_1:
        connection.execute(statement)


MIGRATIONS: Sequence[Callable[[sqlite3.Connection], None]] = (_create,)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema of `path` to the last version, in one transaction. Foreign keys must be off.

    Raises HistoryError if the file belongs to another program or to a newer seallm-edge, and sqlite3.Error.
    """
    version = version_of(connection, path)
    if version == len(MIGRATIONS):
        return
    if version:
        _keep_copy(connection, path, version)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in MIGRATIONS[version_of(connection, path) :]:  # another program may have migrated meanwhile
            migration(connection)
        if connection.execute("PRAGMA foreign_key_check").fetchone():
            raise sqlite3.DatabaseError("a message refers to one that does not exist")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """Version of the schema in `path`, 0 for an empty file. Raises HistoryError, see `migrate`, and sqlite3.Error."""
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (n_objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if owner != APPLICATION_ID and (owner or version or n_objects):
        raise HistoryError(f"{path} is no chat history: another program wrote it", "move it to another place")
    if not 0 <= version <= len(MIGRATIONS):
        problem = f"{path} was written by a newer seallm-edge: its version is {version}, this one knows"
        raise HistoryError(f"{problem} {len(MIGRATIONS)}", "install the newer version of seallm-edge")
    return int(version)


def roll_back(connection: sqlite3.Connection) -> None:
    """Undo the open transaction, if there is one; an error of its own does not replace the first one."""
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _keep_copy(connection: sqlite3.Connection, path: Path, version: int) -> None:
    copy = path.with_name(f"{path.name}.v{version}")
    scratch = copy.with_name(f"{copy.name}.{os.getpid()}.partial")
    try:
        create_private(scratch)
        connection.execute("VACUUM INTO ?", (os.fsdecode(scratch),))
        scratch.replace(copy)
    finally:
        scratch.unlink(missing_ok=True)


def create_private(path: Path) -> None:
    """Create an empty file that only its owner can read, unless it exists. Raises OSError."""
    # An existing file is not opened: closing it would release the locks that SQLite holds on it in this process.
    # ref: https://sqlite.org/howtocorrupt.html, "POSIX advisory locks canceled"
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
