"""Atomic replacement of a file: the old or the new content, whenever its writer is killed or the disk is full."""

import errno
import os
import random
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seallm_edge.files import atomic

OLD, NEW = b"old\n" * 1000, b"new, and longer\n" * 1000
SCRATCH = re.compile(r"a\.json\.[0-9a-f]{8}\.partial")
posix_only = pytest.mark.skipif(os.name != "posix", reason="signals and permissions of POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "a.json").write_bytes(OLD)
    return tmp_path / "a.json"


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


def test_bytes_replace_a_file_and_nothing_else_is_left(path: Path) -> None:
    atomic.write_bytes(path, NEW)
    assert path.read_bytes() == NEW
    assert names(path) == ["a.json"]


def test_text_is_utf8_with_its_own_line_ends_and_the_bytes_of_file_names(path: Path) -> None:
    atomic.write_text(path, "ก\r\nb\n\udcff")
    assert path.read_bytes() == "ก\r\nb\n".encode() + b"\xff"


def test_while_it_is_written_the_old_content_stays_and_the_scratch_file_stands_beside(path: Path) -> None:
    with atomic.replacing(path) as file:
        file.write(NEW)
        assert path.read_bytes() == OLD
        _, scratch = names(path)
        assert SCRATCH.fullmatch(scratch)


@posix_only
def test_the_order_is_flush_sync_rename_sync_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        status = os.fstat(descriptor)
        steps.append("folder" if stat.S_ISDIR(status.st_mode) else f"{status.st_size} bytes")
        fsync(descriptor)

    def renamed(source: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    atomic.write_bytes(path, NEW)
    assert steps == [f"{len(NEW)} bytes", "rename", "folder"]


@posix_only
@pytest.mark.parametrize(("mode", "found"), [(0o666, 0o644), (0o600, 0o600)])
def test_permissions_are_the_mode_less_the_umask(path: Path, mode: int, found: int) -> None:
    umask = os.umask(0o022)
    try:
        with atomic.replacing(path, mode) as file:
            file.write(NEW)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == found


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=repr)
def test_a_block_that_fails_leaves_the_old_content_alone(path: Path, error: BaseException) -> None:
    def write_half() -> None:
        with atomic.replacing(path) as file:
            file.write(NEW)
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert path.read_bytes() == OLD
    assert names(path) == ["a.json"]


@pytest.mark.parametrize(("owner", "step"), [(os, "fsync"), (Path, "replace")], ids=["sync", "rename"])
def test_a_full_disk_leaves_the_old_content_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, step: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(owner, step, full)
    with pytest.raises(OSError, match="No space left on device"):
        atomic.write_bytes(path, NEW)
    assert path.read_bytes() == OLD
    assert names(path) == ["a.json"]


@posix_only
def test_a_write_beyond_what_the_system_allows_leaves_the_old_content_alone(path: Path) -> None:
    code = """
import resource, signal, sys
from pathlib import Path
from seallm_edge.files import atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    atomic.write_bytes(Path(sys.argv[1]), b"x" * 100_000)
except OSError as error:
    print(error.errno)
"""
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{errno.EFBIG}\n"
    assert path.read_bytes() == OLD
    assert names(path) == ["a.json"]


@posix_only
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_disk_that_cannot_sync_folders_is_written_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fsync = os.fsync

    def synced(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    atomic.write_bytes(path, NEW)
    assert path.read_bytes() == NEW


WRITER = """
import os, signal, sys
from pathlib import Path
from seallm_edge.files import atomic
path, text = Path(sys.argv[1]), sys.argv[2].encode()
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
"""
DEATHS = {
    "in the bytes": "with atomic.replacing(path) as file: file.write(text[:5]); file.flush(); die()",
    "before the sync": "os.fsync = die; atomic.write_bytes(path, text)",
    "before the rename": "Path.replace = die; atomic.write_bytes(path, text)",
    "after the rename": "atomic.sync_folder = die; atomic.write_bytes(path, text)",
}


@posix_only
@pytest.mark.parametrize("death", DEATHS)
def test_a_writer_killed_at_any_step_leaves_old_or_new_whole(path: Path, death: str) -> None:
    is_renamed = death == "after the rename"
    code = WRITER + DEATHS[death]
    assert subprocess.run([sys.executable, "-c", code, path, "new"], timeout=60).returncode == -signal.SIGKILL
    assert path.read_bytes() == (b"new" if is_renamed else OLD)
    left = [name for name in names(path) if name != "a.json"]
    assert len(left) == (not is_renamed)
    assert all(SCRATCH.fullmatch(name) for name in left)

    atomic.write_bytes(path, NEW)  # what a killed writer left is in nobody's way
    assert path.read_bytes() == NEW


@posix_only
def test_writers_side_by_side_killed_at_any_moment_leave_a_whole_file(path: Path) -> None:
    code = WRITER + "print(flush=True)\nwhile True: atomic.write_bytes(path, text * 50_000)"
    whole = {OLD, *(digit * 50_000 for digit in (b"0", b"1", b"2"))}
    writers = [subprocess.Popen([sys.executable, "-c", code, path, str(n)], stdout=subprocess.PIPE) for n in range(3)]
    rng = random.Random(3)
    for writer in writers:
        with writer:
            assert writer.stdout
            writer.stdout.readline()
            for _ in range(20):
                assert path.read_bytes() in whole
            time.sleep(rng.uniform(0, 0.1))
            writer.kill()
    assert path.read_bytes() in whole - {OLD}
    assert all(SCRATCH.fullmatch(name) for name in names(path) if name != "a.json")


def test_an_error_names_the_file_and_not_its_scratch_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        atomic.write_text(tmp_path / "nowhere" / "x.md", "x")
    assert error.value.filename == str(tmp_path / "nowhere" / "x.md")
