"""Copies: resumed by comparison, read back, renamed."""

import errno
import hashlib
import os
import random
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.errors import ModelFileError, StoreBusy, StoreError
from seallm_edge.files.locking import locked_alone
from seallm_edge.files.positioned import PositionedFile
from seallm_edge.store.carrying import copying
from seallm_edge.store.carrying.copying import Content, Extent, check_space, compare, copy, whole_file

BLOCK = 4 << 20
DATA = random.Random(1).randbytes(2 * BLOCK + 1000)
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(offset, bytes) of every write."""
    found: list[tuple[int, int]] = []
    write = PositionedFile.write

    def recorded(self: PositionedFile, offset: int, data: memoryview) -> None:
        found.append((offset, len(data)))
        write(self, offset, data)

    monkeypatch.setattr(PositionedFile, "write", recorded)
    return found


def test_copy_has_the_bytes_and_leaves_nothing_else(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert copy(whole_file(source), tmp_path / "out" / "copy") == DIGEST
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["copy"]
    assert (tmp_path / "out" / "copy").read_bytes() == DATA


def test_content_joins_bytes_and_extents(source: Path, tmp_path: Path) -> None:
    content = Content((b"head", Extent(source, 5, BLOCK), bytes(3), Extent(source, 0, 2), b""))
    copy(content, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"head" + DATA[5 : 5 + BLOCK] + bytes(3) + DATA[:2]


def test_only_blocks_that_differ_are_written(source: Path, tmp_path: Path, written: list[tuple[int, int]]) -> None:
    torn = bytearray(DATA[: BLOCK + 500])  # the second block was cut off, and the first one has a hole
    torn[100:5000] = bytes(4900)
    (tmp_path / "copy.partial").write_bytes(torn)
    assert copy(whole_file(source), tmp_path / "copy") == DIGEST
    assert written == [(0, BLOCK), (BLOCK, BLOCK), (2 * BLOCK, 1000)]

    written.clear()
    (tmp_path / "copy").rename(tmp_path / "copy.partial")
    assert copy(whole_file(source), tmp_path / "copy") == DIGEST
    assert written == []


def test_longer_partial_is_cut(source: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.partial").write_bytes(DATA + b"more")
    assert copy(whole_file(source), tmp_path / "copy") == DIGEST
    assert (tmp_path / "copy").stat().st_size == len(DATA)


def test_disk_that_gives_other_bytes_back_is_an_error(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(self: PositionedFile) -> None:
        self.write(77, memoryview(b"\xff\x00"))

    monkeypatch.setattr(PositionedFile, "forget", forget)
    with pytest.raises(StoreError, match="reads back with other bytes than were written") as caught:
        copy(whole_file(source), tmp_path / "copy")
    assert str(caught.value.hint) == "the disk or its plug is failing: use another one"
    assert not (tmp_path / "copy").exists()


def test_source_with_another_hash_is_damaged(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError) as caught:
        copy(whole_file(source), tmp_path / "copy", expected="0" * 64)
    assert caught.value.path == source
    assert caught.value.problem == f"is damaged: its sha256 is {DIGEST[:12]}…, not 000000000000… as listed"
    assert not (tmp_path / "copy").exists()


def test_second_writer_of_a_file_is_refused(source: Path, tmp_path: Path) -> None:
    with (tmp_path / "copy.lock").open("ab") as lock:
        assert locked_alone(lock)
        with pytest.raises(StoreBusy, match="another program is writing"):
            copy(whole_file(source), tmp_path / "copy")


def test_progress_that_raises_ends_the_copy_and_the_next_one_resumes(
    source: Path, tmp_path: Path, written: list[tuple[int, int]]
) -> None:
    def stop(_doing: str, done: int, _total: int) -> None:
        if done >= BLOCK:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(whole_file(source), tmp_path / "copy", progress=stop)
    assert written == [(0, BLOCK)]
    copy(whole_file(source), tmp_path / "copy")
    assert written == [(0, BLOCK), (BLOCK, BLOCK), (2 * BLOCK, 1000)]


@pytest.mark.parametrize(
    ("number", "message", "hint"),
    [
        (errno.ENOSPC, "the disk of {folder} is full, at copy",
         "free space there, then run the same command again: it resumes"),
        (errno.EFBIG, "copy is too large a file for the disk of {folder}", "write smaller parts: split='2G'"),
        (errno.EIO, "the disk of {folder}/copy does not answer: Input/output error",
         "plug it in again, then run the same command again: it resumes"),
        (errno.EACCES, "cannot write {folder}/copy: Permission denied",
         "check the disk and its permissions, then run the same command again: it resumes"),
    ],
)  # fmt: skip
def test_systems_error_says_how_to_continue(
    number: int, message: str, hint: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(PositionedFile, "write", fail)
    with pytest.raises(StoreError) as caught:
        copy(whole_file(source), tmp_path / "copy")
    assert (caught.value.message, str(caught.value.hint)) == (message.format(folder=tmp_path), hint)
    assert (tmp_path / "copy.partial").exists()


def test_space_is_counted_less_what_is_there(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"total": 1 << 40, "free": BLOCK + (128 << 10)})
    monkeypatch.setattr(copying.shutil, "disk_usage", lambda _: usage)
    (tmp_path / "done").write_bytes(DATA)
    (tmp_path / "half.partial").write_bytes(DATA[:BLOCK])
    check_space(tmp_path, {tmp_path / "done": len(DATA), tmp_path / "half": 2 * BLOCK})
    with pytest.raises(StoreError) as caught:
        check_space(tmp_path, {tmp_path / "half": 3 * BLOCK})
    assert caught.value.message == f"8.45 MB more are needed, and {tmp_path} has 4.33 MB free"
    assert str(caught.value.hint) == "free 4.13 MB there, then run the same command again: it resumes"


def test_comparison_finds_one_other_byte(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(DATA)
    assert compare(whole_file(source), other) == DIGEST
    with other.open("r+b") as file:
        file.seek(BLOCK + 7)
        file.write(b"\x00" if DATA[BLOCK + 7] else b"\x01")
    assert compare(whole_file(source), other) is None
    other.write_bytes(DATA + b"x")
    assert compare(whole_file(source), other) is None
