"""SQLite file of the history: connections, transactions, and errors of sqlite3 and the system as HistoryError.

One connection reads and another writes, so that a search does not delay a reply. Each is used under its own lock, and
no transaction outlives a call. Knows nothing of what is stored.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import HistoryError, HistoryUnavailable
from . import schema, search

_BUSY_SECONDS = 5.0
_MIN_FILE = 512  # bytes, SQLite's smallest page
_DAMAGED = "move it to another place; a copy of its readable part: sqlite3 OLD .recover | sqlite3 NEW"
_PERMISSION = "check the permissions of the file and its folder, or set SEALLM_HOME to another folder"
# primary result code → what happened, what mends it. ref: https://sqlite.org/rescode.html
_PROBLEMS = {
    "SQLITE_BUSY": ("is in use by another program", "try again, or end the other program"),
    "SQLITE_LOCKED": ("is in use by another program", "try again, or end the other program"),
    "SQLITE_FULL": ("cannot grow: its disk is full", "free some disk space; everything stored before is safe"),
    "SQLITE_READONLY": ("cannot be written", _PERMISSION),
    "SQLITE_PERM": ("cannot be opened", _PERMISSION),
    "SQLITE_CANTOPEN": ("cannot be opened", _PERMISSION),
    "SQLITE_CORRUPT": ("is damaged", _DAMAGED),
    "SQLITE_NOTADB": ("is no SQLite file", "move it to another place"),
    "SQLITE_NOMEM": ("cannot be used: memory ran out", "close other programs"),
    "SQLITE_TOOBIG": ("cannot hold a text this long", "shorten it"),
    "SQLITE_IOERR": ("cannot be read or written", "check the disk and its free space"),
}


@contextlib.contextmanager
def translated_errors(path: Path | None) -> Iterator[None]:
    """Turn the errors of sqlite3 and of the system into HistoryUnavailable."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", None) or "SQLITE_CORRUPT"
        code = "_".join(name.split("_")[:2])
        known = _PROBLEMS.get(code) or ("is damaged", _DAMAGED)
        raise HistoryUnavailable(f"{path or 'the history in memory'} {known[0]} ({error})", known[1]) from error
    except UnicodeDecodeError as error:  # an error message of SQLite that quotes damaged bytes
        raise HistoryUnavailable(f"{path} is damaged", _DAMAGED) from error
    except OverflowError as error:
        raise HistoryError("a number is too large for the history", "give the id of a message") from error
    except OSError as error:
        raise HistoryUnavailable(f"{path} cannot be opened ({error.strerror or error})", _PERMISSION) from error


class Database:
    """Connections to one history file, opened at the first use; to one in memory if `path` is None, and then a single
    connection. Any thread may use it.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._opening = threading.Lock()
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock() if path else self._write_lock
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._is_durable = True
        self._is_closed = False

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Read transaction: all its queries see the same state. Raises HistoryError."""
        with translated_errors(self.path):
            self._open()
            with self._read_lock, _transaction(self._still_open(self._reader), "BEGIN") as connection:
                yield connection

    @contextlib.contextmanager
    def write(self, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Write transaction: committed when the block ends, undone if it raises. Raises HistoryError.

        A durable one survives a power cut; any other survives the end of the process, and costs no disk flush.
        """
        with translated_errors(self.path):
            self._open()
            with self._write_lock:
                connection = self._still_open(self._writer)
                schema.roll_back(connection)  # what a Ctrl-C between two calls may have left open
                self._set_durable(connection, durable)
                with _transaction(connection, "BEGIN IMMEDIATE"):
                    yield connection

    def compact(self) -> None:
        """Return free pages to the disk. Raises HistoryError."""
        if self.path is None:
            return
        with translated_errors(self.path), self._write_lock:
            connection = self._still_open(self._writer)
            connection.executescript("PRAGMA incremental_vacuum")  # `execute` would free a single page
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the connections. May be called twice."""
        with self._opening, translated_errors(self.path):
            self._is_closed = True
            with self._read_lock:
                reader, self._reader = self._reader, None
                if reader and reader is not self._writer:
                    reader.close()
            with self._write_lock:
                writer, self._writer = self._writer, None
                if writer:
                    writer.close()

    def _open(self) -> None:
        if self._reader is not None:
            return
        with self._opening:
            if self._is_closed or self._reader is not None:
                return
            self._writer, self._reader = _opened(self.path) if self.path else _opened_in_memory()

    def _still_open(self, connection: sqlite3.Connection | None) -> sqlite3.Connection:
        if connection is None:
            raise HistoryError("the history is closed", "open it again")
        return connection

    def _set_durable(self, connection: sqlite3.Connection, durable: bool) -> None:
        """Choose whether commits flush the WAL. Only commits that do also move it into the file, which takes longer."""
        if durable != self._is_durable:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {1000 if durable else 0}")
            self._is_durable = durable


def _opened(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """(writer, reader) of a history file, which is created where there is none."""
    _check_place(path)
    with contextlib.ExitStack() as opened:
        writer = opened.enter_context(contextlib.closing(_connect(path)))
        _prepare(writer, path)
        reader = _connect(path)
        reader.execute("PRAGMA query_only = ON")
        opened.pop_all()
    return writer, reader


def _opened_in_memory() -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """One connection, as writer and as reader."""
    connection = _connect(Path(":memory:"))
    schema.migrate(connection, Path(":memory:"))
    connection.execute("PRAGMA foreign_keys = ON")
    search.prepare(connection)
    return connection, connection


def _check_place(path: Path) -> None:
    """Create the file if there is none; raise HistoryError for a folder, or a file that is too short for SQLite's."""
    if path.is_dir():
        raise HistoryError(f"{path} is a folder, not a history file", "move it to another place")
    path.parent.mkdir(parents=True, exist_ok=True)
    schema.create_private(path)
    if 0 < path.stat().st_size < _MIN_FILE:  # which SQLite would overwrite
        raise HistoryError(f"{path} is no SQLite file", "move it to another place")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")  # the file may come from elsewhere
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA secure_delete = ON")  # a removed conversation leaves no text in the file
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to the mode and the schema of this program."""
    schema.version_of(connection, path)  # before anything is written to a file of another program
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # heeded in an empty file only
    _use_wal(connection)
    schema.migrate(connection, path)
    connection.execute("PRAGMA foreign_keys = ON")
    search.prepare(connection)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; the busy timeout does not cover this switch, which every program tries at once."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[sqlite3.Connection]:
    try:
        connection.execute(begin)
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        schema.roll_back(connection)
        raise
