"""Migrations of the history file: from every version to the last, with a copy of the old file, or not at all."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from seallm_edge import HistoryError, paths
from seallm_edge.chat import History, schema


def add_stars(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE messages ADD COLUMN stars INTEGER NOT NULL DEFAULT 0")


def rebuild_conversations(connection: sqlite3.Connection) -> None:
    """A table that others refer to, made again: it needs foreign keys to be off."""
    (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'conversations'").fetchone()
    connection.execute(sql.replace("conversations", "made_again"))
    connection.execute("INSERT INTO made_again SELECT * FROM conversations")
    connection.execute("DROP TABLE conversations")
    connection.execute("ALTER TABLE made_again RENAME TO conversations")


VERSIONS = (*schema.MIGRATIONS, add_stars, rebuild_conversations)


def fail(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE messages ADD COLUMN half INTEGER")
    raise sqlite3.OperationalError("failed")


def orphan(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM conversations")


@pytest.fixture
def migrations(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    return lambda *functions: monkeypatch.setattr(schema, "MIGRATIONS", functions)


def written(text: str = "ข้าวผัด") -> int:
    """Id of a message in the history."""
    with History() as history:
        return history.add_message(history.create("Makan"), None, "user", text)


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def objects(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


@pytest.mark.parametrize("old", range(1, len(VERSIONS)))
def test_a_history_of_every_older_version_is_migrated_and_its_copy_kept(old: int, migrations) -> None:
    file, copy = paths.history_file(), paths.home() / f"history.sqlite.v{old}"
    migrations(*VERSIONS[:old])
    message = written()
    migrations(*VERSIONS)
    with History() as history:
        assert history.message(message).content == "ข้าวผัด"
        assert [match.message for match in history.search("ผัด")] == [message]
        history.append(
            history.add_message(history.conversations()[0].id, message, "assistant", "", state="streaming"), "x"
        )
    assert (version(file), version(copy)) == (len(VERSIONS), old)
    if os.name == "posix":
        assert copy.stat().st_mode & 0o777 == 0o600
    assert not list(file.parent.glob("*.partial"))
    shutil.copy(copy, file)
    migrations(*VERSIONS[:old])
    with History() as history:
        assert history.message(message).content == "ข้าวผัด"


def test_a_fresh_history_is_of_the_last_version_and_has_no_copy(migrations) -> None:
    migrations(*VERSIONS)
    written()
    assert version(paths.history_file()) == len(VERSIONS)
    assert [path.name for path in paths.home().glob("history*")] == ["history.sqlite"]


def test_a_newer_history_is_refused_and_left_as_it_is(migrations) -> None:
    migrations(*VERSIONS)
    written()
    content = paths.history_file().read_bytes()
    migrations(*VERSIONS[:1])
    with History() as history, pytest.raises(HistoryError) as refused:
        history.conversations()
    problem = f"{paths.history_file()} was written by a newer seallm-edge: its version is 3, this one knows 1"
    assert (refused.value.message, str(refused.value.hint)) == (problem, "install the newer version of seallm-edge")
    assert paths.history_file().read_bytes() == content


@pytest.mark.parametrize("broken", [fail, orphan])
def test_a_migration_that_fails_leaves_the_old_version(broken, migrations) -> None:
    message = written()
    migrations(*VERSIONS[:2], broken)
    with History() as history, pytest.raises(HistoryError, match="is damaged"):
        history.conversations()
    migrations(*VERSIONS[:1])
    with History() as history:
        assert history.message(message).content == "ข้าวผัด"


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_kill_in_the_midst_of_a_migration_leaves_the_old_version(migrations) -> None:
    message = written()
    code = """
import os, signal
from seallm_edge.chat import History, schema
def killed(connection):
    connection.execute("ALTER TABLE messages ADD COLUMN half INTEGER")
    connection.execute("UPDATE messages SET half = 1")
    os.kill(os.getpid(), signal.SIGKILL)
schema.MIGRATIONS = (*schema.MIGRATIONS, killed)
History().conversations()
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    with History() as history:
        assert history.message(message).content == "ข้าวผัด"
    migrations(*VERSIONS)
    with History() as history:
        assert history.message(message).content == "ข้าวผัด"
    assert version(paths.home() / "history.sqlite.v1") == 1


def test_a_file_of_another_program_is_refused_and_left_as_it_is() -> None:
    file = paths.history_file()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    content = file.read_bytes()
    with History() as history, pytest.raises(HistoryError, match="is no chat history: another program wrote it"):
        history.conversations()
    assert file.read_bytes() == content


def test_an_empty_file_is_a_fresh_history() -> None:
    paths.history_file().touch()
    written()
    assert {"conversations", "messages", "deltas"} < objects(paths.history_file())


def test_programs_that_create_the_history_at_once_share_it() -> None:
    code = "from seallm_edge.chat import History; print(History().create())"
    programs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(6)]
    created = {program.communicate(timeout=60)[0].decode().strip() for program in programs}
    with History() as history:
        assert {one.id for one in history.conversations()} == created
    assert len(created) == 6
