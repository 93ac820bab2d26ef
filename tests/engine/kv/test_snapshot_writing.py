"""Snapshot writing with killed writers, full disks and concurrent processes: no partial file is a snapshot."""

import errno
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seallm_edge.engine.kv.snapshots import Snapshots
from support.snapshots import KEY, PLENTY, STATE, TOKENS, after_restart

pytestmark = pytest.mark.slow


def child(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    """A process with this module's constants that runs `code` over `sys.argv[1:]`."""
    head = f"""
import os, random, signal, sys
from pathlib import Path
from seallm_edge.engine.kv import snapshot_file
from seallm_edge.engine.kv.snapshots import Snapshots
KEY, TOKENS, PLENTY = {KEY!r}, {TOKENS!r}, {PLENTY}
def state_of(tokens, n_bytes):
    return random.Random(repr(tokens)).randbytes(n_bytes)
def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    return subprocess.Popen([sys.executable, "-c", head + code, *map(str, arguments)], stdout=subprocess.PIPE)


DEATHS = {
    "before a byte": "snapshot_file._write_hashed = die",
    "after the head": "snapshot_file.encoded = lambda tokens, real=snapshot_file.encoded: real(tokens) "
    "if not list(folder.glob('*.partial')) else die()",
    "in the state": "snapshot_file._CHUNK_BYTES = 64 << 10\nfirst = list(range(20))\n"
    "snapshot_file._pieces = lambda data, real=snapshot_file._pieces: "
    "(piece if first.pop() else die() for piece in real(data))",
    "before the name": "Path.replace = die",
    "after the name": "snapshots_module.touch = die",
    "before the beginning is removed": "snapshots_module.remove = die",
}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
@pytest.mark.parametrize("death", DEATHS)
def test_killed_writer_leaves_whole_files_alone(good: Path, death: str) -> None:
    code = f"""
from seallm_edge.engine.kv import snapshots as snapshots_module

folder = Path(sys.argv[1])
{DEATHS[death]}
Snapshots(folder, KEY, PLENTY).save([*TOKENS, 1], state_of(TOKENS, 3_000_000))
"""
    with child(code, good.parent) as process:
        assert process.wait(60) == -signal.SIGKILL

    kept = after_restart(good.parent)
    longer = ([*TOKENS, 1], random.Random(repr(TOKENS)).randbytes(3_000_000))
    is_named = death in ("after the name", "before the beginning is removed")
    assert kept == (TOKENS, STATE)  # of equals the smallest
    assert len(list(good.parent.glob("*.partial"))) == (not is_named)
    good.unlink()
    assert after_restart(good.parent) == (longer if is_named else None)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_writers_killed_at_any_moment_leave_whole_files_alone(folder: Path) -> None:
    code = """
snapshots = Snapshots(Path(sys.argv[1]), KEY, 40_000_000)
number = 0
while True:
    number += 1
    tokens = [int(sys.argv[2]), number % 7, *range(number % 11 + 1)]
    snapshots.save(tokens, state_of(tokens, 4_000_000))
    print("saved", flush=True)
"""
    rng = random.Random(5)
    for number in range(4):
        with child(code, folder, number) as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.1))
            process.kill()

    snapshots = Snapshots(folder, KEY, PLENTY)
    n_whole = len(list(folder.glob("*.kv")))
    assert n_whole > 0
    for known in snapshots._known().values():
        tokens = known.tokens.tolist()
        found = snapshots.find(tokens, len(tokens) - 1)
        assert found
        kept = snapshots.load(found)
        assert kept
        assert kept[1] == random.Random(repr(kept[0])).randbytes(4_000_000)
    assert len(list(folder.glob("*.kv"))) == n_whole


def test_what_a_killed_writer_left_goes_and_what_is_being_written_stays(good: Path) -> None:
    dead, alive = (good.with_name(f"{good.name}.{name}.partial") for name in ("dead", "alive"))
    for path, minutes in ((dead, 11), (alive, 9)):
        path.write_bytes(b"half")
        then = time.time() - 60 * minutes
        os.utime(path, (then, then))

    Snapshots(good.parent, "ffff-first", PLENTY).save([1], b"state")

    assert not dead.exists()
    assert alive.exists()


class FullDisk:
    """`os.fdopen` whose files take `room` bytes and then refuse, at a write or only when they are closed."""

    def __init__(self, room: int, at_close: bool) -> None:
        self.room = room
        self._at_close = at_close

    def __call__(self, descriptor: int, mode: str) -> "FullDisk":
        self._file = open(descriptor, mode)  # noqa: SIM115
        return self

    def write(self, data: bytes | memoryview) -> None:
        self.room -= len(data)
        self._file.write(data[: max(self.room + len(data), 0)])
        if self.room < 0 and not self._at_close:
            raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()

    def __enter__(self) -> "FullDisk":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self.room < 0 and self._at_close:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("at_close", [False, True])
@pytest.mark.parametrize("room", [0, 56, 100, 5_000, 5_107])
def test_full_disk_is_logged_and_leaves_nothing_behind(
    good: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, room: int, at_close: bool
) -> None:
    monkeypatch.setattr(os, "fdopen", FullDisk(room, at_close))

    assert not Snapshots(good.parent, KEY, PLENTY).save([*TOKENS[:3], 1], bytes(5_004))

    assert caplog.messages == [
        f"a snapshot of 4 tokens is not kept in {good.parent}: [Errno {errno.ENOSPC}] No space left on device"
    ]
    assert list(good.parent.iterdir()) == [good]
    assert after_restart(good.parent) == (TOKENS, STATE)


@pytest.fixture
def small_files() -> Iterator[None]:
    """The system lets no file grow beyond 64 KiB."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_file_that_the_system_lets_grow_no_more_leaves_nothing_behind(good: Path, small_files: None) -> None:
    snapshots = Snapshots(good.parent, KEY, PLENTY)
    assert not snapshots.save([*TOKENS, 1], bytes(100_000))
    assert list(good.parent.iterdir()) == [good]
    assert snapshots.save([*TOKENS, 1], bytes(50_000))


def no_folder(folder: Path) -> None:
    folder.write_bytes(b"a file")


def gone(folder: Path) -> None:
    folder.symlink_to(folder.with_name("nowhere") / "at all")


@pytest.mark.parametrize("spoil", [no_folder, gone], ids=lambda spoil: spoil.__name__)
def test_place_that_cannot_be_written_is_logged(
    folder: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    folder.parent.mkdir()
    spoil(folder)
    snapshots = Snapshots(folder, KEY, PLENTY)
    assert not snapshots.save(TOKENS, STATE)
    assert snapshots.find(TOKENS) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_folder_that_is_removed_meanwhile_is_made_again(good: Path) -> None:
    snapshots = Snapshots(good.parent, KEY, PLENTY)
    assert snapshots.find(TOKENS)
    shutil.rmtree(good.parent)
    assert snapshots.find(TOKENS) is None
    assert snapshots.save(TOKENS, STATE)
    assert after_restart(good.parent) == (TOKENS, STATE)


def test_several_processes_at_once_never_see_what_was_not_saved(folder: Path) -> None:
    budget, n_bytes = 3_000_000, 200_000
    code = """
rng, n_loaded = random.Random(int(sys.argv[2])), 0
snapshots = Snapshots(Path(sys.argv[1]), KEY, int(sys.argv[3]))
print("ready", flush=True)
for _ in range(150):
    tokens = rng.choices((1, 2, 3), k=rng.randint(1, 6))
    if rng.random() < 0.5:
        snapshots.save(tokens, state_of(tokens, int(sys.argv[4])))
    elif found := snapshots.find(tokens):
        kept = snapshots.load(found)
        assert kept is None or kept[1] == state_of(kept[0], int(sys.argv[4]))
        n_loaded += kept is not None
assert n_loaded
"""
    processes = [child(code, folder, seed, budget, n_bytes) for seed in range(3)]
    for process in processes:
        with process:
            assert process.wait(60) == 0

    assert not list(folder.glob("*.partial"))
    total = sum(path.stat().st_size for path in folder.iterdir())
    assert 0 < total <= budget + 2 * n_bytes + 1_000
