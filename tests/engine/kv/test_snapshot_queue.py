"""Snapshot queue: replies do not wait for the disk, few KV states are held, and none is written partly."""

import gc
import logging
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seallm_edge.engine.kv import snapshot_file
from seallm_edge.engine.kv.snapshots import Snapshots
from support.snapshots import KEY, loaded


class Disk:
    """A disk that writes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_asked, self.may_go_on = threading.Event(), threading.Event()
        self._write = snapshot_file.write
        monkeypatch.setattr(snapshot_file, "write", self.write)

    def write(self, *arguments: Any) -> None:
        self.is_asked.set()
        assert self.may_go_on.wait(60)
        self._write(*arguments)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk(monkeypatch)
    yield disk
    disk.may_go_on.set()


def test_saving_later_does_not_wait_and_flush_does(folder: Path, snapshots: Snapshots, slow_disk: Disk) -> None:
    assert snapshots.save_later([1, 2], b"state")
    assert slow_disk.is_asked.wait(60)
    assert not snapshots.flush(timeout=0.01)
    assert snapshots.find([1, 2]) is None

    slow_disk.may_go_on.set()

    assert snapshots.flush()
    assert loaded(snapshots, [1, 2]) == ([1, 2], b"state")


def test_waiting_state_gives_way_to_a_later_one_of_its_conversation_alone(
    folder: Path, snapshots: Snapshots, slow_disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "seallm_edge.engine")
    snapshots.save_later([9], b"under way")
    assert slow_disk.is_asked.wait(60)

    assert snapshots.save_later([1, 2], b"waits")
    assert snapshots.save_later([1, 2, 3], b"takes its place")
    assert snapshots.save_later([1], b"is covered")
    assert not snapshots.save_later([7, 7], b"is dropped")

    assert caplog.messages == ["a snapshot of 2 tokens is dropped: the disk does not keep up"]
    slow_disk.may_go_on.set()
    snapshots.flush()
    assert [loaded(snapshots, [token]) for token in (1, 7, 9)] == [
        ([1, 2, 3], b"takes its place"),
        None,
        ([9], b"under way"),
    ]


def test_tokens_may_change_after_saving_later(snapshots: Snapshots, slow_disk: Disk) -> None:
    tokens = [1, 2]
    snapshots.save_later(tokens, b"state")
    tokens[:] = [8, 8, 8]
    slow_disk.may_go_on.set()
    snapshots.flush()
    assert loaded(snapshots, [1, 2]) == ([1, 2], b"state")


def test_written_state_is_let_go(snapshots: Snapshots) -> None:
    state = np.zeros(1_000, np.uint8)
    alive = weakref.ref(state)
    snapshots.save_later([1], state)
    del state
    snapshots.flush()
    gc.collect()
    assert alive() is None


def test_close_writes_what_waits_takes_no_more_and_is_safe_twice(snapshots: Snapshots) -> None:
    snapshots.save_later([1], b"state")
    snapshots.close()
    snapshots.close()
    assert loaded(snapshots, [1])
    assert not snapshots.save_later([2], b"state")
    assert not [thread for thread in threading.enumerate() if thread.name == "seallm-snapshots"]


def test_thread_that_cannot_start_drops_the_state(snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert not snapshots.save_later([1], b"state")
    assert snapshots.save_later([1], b"state")
    snapshots.close()
    assert loaded(snapshots, [1])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_after_a_bug_in_writing_the_next_state_is_written(
    snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(snapshot_file, "write", fail)
        snapshots.save_later([1], b"state")
        assert snapshots.flush()
    assert snapshots.save_later([1], b"state")
    assert snapshots.flush()
    assert loaded(snapshots, [1])


def test_python_ends_while_a_state_is_being_written(folder: Path) -> None:
    code = f"""
import threading, time
from pathlib import Path
from seallm_edge.engine.kv import snapshot_file, snapshots
asked, pieces = threading.Event(), snapshot_file._write_hashed
def stuck(*arguments):
    pieces(*arguments)
    asked.set()
    time.sleep(600)
snapshot_file._write_hashed = stuck
assert snapshots.Snapshots(Path({str(folder)!r}), {KEY!r}, 1 << 30).save_later([1], b"state")
assert asked.wait(60)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    (left,) = folder.iterdir()
    assert left.name.endswith(".partial")
