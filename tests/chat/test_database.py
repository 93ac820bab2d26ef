"""A history file that is damaged, locked, read-only, on a full disk or no history file: HistoryError, nothing else."""

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from seallm_edge import HistoryError, paths
from seallm_edge.chat import History, database
from seallm_edge.text.samples import TEXTS

POSIX = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and limits")


def refusal(use: Callable[[], object]) -> HistoryError:
    with pytest.raises(HistoryError) as refused:
        use()
    assert refused.value.hint
    return refused.value


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A history file with branches, figures and replies under way."""
    file = tmp_path_factory.mktemp("healthy") / "history.sqlite"
    with History(file) as history:
        for number in range(6):
            key = history.create(f"title {number}" if number % 2 else None, model="demo", system="Be brief.")
            last = None
            for text in TEXTS[number : number + 8]:
                last = history.add_message(key, last, "user", text, figures={"tokens": 1})
            reply = history.add_message(key, last, "assistant", "", state="streaming")
            history.append(reply, "Halo")
    return file.read_bytes()


def mutated(content: bytes, seed: int) -> bytes:
    """The file with 1 to 200 changed bytes, bits, page headers or copied ranges; some are cut short."""
    rng = random.Random(seed)
    data = bytearray(content)
    for _ in range(rng.choice((1, 3, 20, 200))):
        at, other = rng.randrange(len(data)), rng.randrange(len(data))
        if seed % 4 == 0:
            data[at] = rng.randrange(256)
        elif seed % 4 == 1:
            data[rng.choice((at % 100, at // 4096 * 4096 + at % 16))] = rng.randrange(256)
        elif seed % 4 == 2:
            data[at] ^= 1 << rng.randrange(8)
        else:
            length = min(rng.randrange(1, 300), len(data) - max(at, other))
            data[at : at + length] = data[other : other + length]
    return bytes(data[: rng.randrange(len(data))] if rng.random() < 0.1 else data)


def operations(history: History) -> Iterator[Callable[[], object]]:
    """Every method, in an order in which the earlier ones do no harm to the later ones."""
    keys: list[str] = []

    def write() -> None:
        key = history.create("Makan")
        reply = history.add_message(key, None, "assistant", "", state="streaming")
        history.append(reply, "Nasi")
        history.finish(reply, "Nasi goreng")
        history.rename(key, "Minum")
        history.remove(key)

    yield lambda: keys.extend(one.id for one in history.conversations())
    yield lambda: history.search("ข้าว")
    yield lambda: history.search("a")
    yield lambda: history.find("title 1")
    yield lambda: [(history.tree(key), history.conversation(key)) for key in keys]
    yield lambda: [history.path(id_) for id_ in range(1, 55, 5)]
    yield lambda: [(history.branches(id_), history.children(id_)) for id_ in range(1, 55, 5)]
    yield lambda: [history.recover(key) for key in keys]
    yield write
    yield lambda: [history.remove(key) for key in keys]


@pytest.mark.parametrize("seeds", [range(first, first + 100) for first in range(0, 500, 100)], ids=str)
def test_a_damaged_file_works_or_raises_history_error(seeds: range, healthy: bytes, tmp_path: Path) -> None:
    outcomes = {"works": 0, "refused": 0}
    for seed in seeds:
        file = tmp_path / f"{seed}.sqlite"
        file.write_bytes(mutated(healthy, seed))
        with History(file) as history:
            for operation in operations(history):
                try:
                    operation()
                    outcomes["works"] += 1
                except HistoryError:
                    outcomes["refused"] += 1
    assert min(outcomes.values()) > 100


@pytest.mark.parametrize(
    ("sql", "use"),
    [
        ("UPDATE messages SET parent = 3 WHERE id = 1", lambda history: history.path(2)),
        ("UPDATE messages SET parent = 3 WHERE id = 2", lambda history: history.path(2)),
        ("UPDATE messages SET parent = 5 - 2 * (id - 1) WHERE id > 1", lambda history: history.path(2)),
        ("UPDATE messages SET content = x'00ff' WHERE id = 2", lambda history: history.search("a")),
        ("UPDATE messages SET content = x'00ff' WHERE id = 2", lambda history: history.search("nasi")),
        ("UPDATE messages SET figures = '[' WHERE id = 1", lambda history: history.message(1)),
        ("UPDATE messages SET figures = '[]' WHERE id = 1", lambda history: history.message(1)),
        ("UPDATE messages SET role = 'x' WHERE id = 1", lambda history: history.message(1)),
        ("UPDATE conversations SET created = 'x'", lambda history: history.conversations()),
    ],
)
def test_a_row_that_no_history_writes_is_damage(sql: str, use: Callable[[History], object]) -> None:
    with History() as history:
        key, last = history.create(), None
        for _ in range(3):
            last = history.add_message(key, last, "user", "nasi lemak")
        with closing(sqlite3.connect(history.file)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(sql)
            connection.commit()
        assert f"{history.file} is damaged" in refusal(lambda: use(history)).message


@pytest.mark.parametrize("content", [b"x", b"Dear diary, " * 1000, b"SQLite format 3\0", b"GGUF" + bytes(5000)])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(content: bytes) -> None:
    paths.history_file().write_bytes(content)
    with History() as history:
        message = refusal(history.conversations).message
    assert message in {
        f"{paths.history_file()} is no SQLite file",
        f"{paths.history_file()} is no SQLite file (file is not a database)",
        f"{paths.history_file()} is damaged (database disk image is malformed)",
    }
    assert paths.history_file().read_bytes() == content


def test_a_folder_in_its_place_is_refused() -> None:
    paths.history_file().mkdir()
    with History() as history:
        error = refusal(history.create)
    assert error.message == f"{paths.history_file()} is a folder, not a history file"


def test_a_file_in_place_of_its_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with History(tmp_path / "file" / "history.sqlite") as history:
        assert "cannot be opened" in refusal(history.create).message


def test_a_path_with_letters_of_any_script_works(tmp_path: Path) -> None:
    file = tmp_path / "ประวัติ 历史 ñ?#%" / "lịch sử.sqlite"
    with History(file) as history:
        key = history.create()
    with History(str(file)) as history:
        assert [one.id for one in history.conversations()] == [key]


def test_a_file_that_another_program_locks_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.05)
    with History() as history, closing(sqlite3.connect(paths.history_file(), isolation_level=None)) as other:
        key = history.create()
        other.execute("BEGIN IMMEDIATE")
        error = refusal(history.create)
        assert error.message == f"{paths.history_file()} is in use by another program (database is locked)"
        assert [one.id for one in history.conversations()] == [key]
        other.execute("ROLLBACK")
        assert history.create()


def test_a_full_disk_loses_nothing_stored_before(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = database._connect

    def limited(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA max_page_count = 40")
        return connection

    monkeypatch.setattr(database, "_connect", limited)
    with History() as history:
        reply = history.add_message(history.create(), None, "assistant", "", state="streaming")
        history.append(reply, "Halo")
        error = refusal(lambda: history.append(reply, "x" * 400_000))
        assert error.message == f"{paths.history_file()} cannot grow: its disk is full (database or disk is full)"
        history.append(reply, "!")
        refusal(lambda: history.finish(reply, "x" * 400_000))
        assert (history.message(reply).content, history.message(reply).state) == ("Halo!", "streaming")
        history.finish(reply, "Halo!")


@POSIX
def test_a_write_beyond_what_the_system_allows_is_refused() -> None:
    code = """
import resource
from seallm_edge import HistoryError
from seallm_edge.chat import History
history = History()
reply = history.add_message(history.create(), None, "assistant", "", state="streaming")
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
for number in range(1000):
    try:
        history.append(reply, "x" * 1000)
    except HistoryError as error:
        print(number, error.message.partition(" cannot ")[2])
        break
assert history.message(reply).content == "x" * 1000 * number
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    number, problem = done.stdout.split(" ", 1)
    assert problem == "be read or written (disk I/O error)\n"
    with History() as history:
        (conversation,) = history.conversations()
        assert history.recover(conversation.id) == [1]
        assert history.message(1).content == "x" * 1000 * int(number)


READER = """
import os, sys
from pathlib import Path
from seallm_edge import HistoryError
from seallm_edge.chat import History
if os.geteuid() == 0:  # root reads and writes everything
    os.setuid(65534)
for use in (lambda: History(Path(sys.argv[1])).create(), lambda: History(Path(sys.argv[1])).conversations()):
    try:
        print("works", use())
    except HistoryError as error:
        print(error.message)
        assert "permissions" in str(error.hint)
"""


@POSIX
@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o555, 0o444), (0o777, 0o444), (0o777, 0o000), (0o555, None)])
def test_a_read_only_file_or_folder_is_refused(folder_mode: int, file_mode: int | None, home: Path) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        folder.mkdir()
        Path(name).chmod(0o755)
        if file_mode is not None:
            with History(folder / "history.sqlite") as history:
                history.create()
            (folder / "history.sqlite").chmod(file_mode)
        folder.chmod(folder_mode)
        command = [sys.executable, "-c", READER, str(folder / "history.sqlite")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        with suppress(OSError):
            folder.chmod(0o777)
    assert done.stderr == ""
    refused, listed = done.stdout.splitlines()
    assert refused.startswith(f"{folder / 'history.sqlite'} cannot be ")
    assert listed.startswith(f"{folder / 'history.sqlite'} cannot be ")
