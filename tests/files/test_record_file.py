"""Record files: whole records count, whatever happened to the last one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from seallm_edge.files.positioned import PositionedFile
from seallm_edge.files.record_file import RecordFile, journal_path, partial_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.journal"


def test_the_names_of_an_unfinished_file_and_its_journal() -> None:
    names = [made(Path("a/ไฟล์.gguf")) for made in (partial_path, journal_path)]
    assert names == [Path("a/ไฟล์.gguf.partial"), Path("a/ไฟล์.gguf.journal")]


def test_records_are_read_in_order(path: Path) -> None:
    records = RecordFile(path)
    records.restart({"first": "ñ"})
    records.append({"at": 1}, is_synced=False)
    records.append({"at": 2})
    assert records.read() == [{"first": "ñ"}, {"at": 1}, {"at": 2}]
    records.close()
    again = RecordFile(path)
    assert again.read() == [{"first": "ñ"}, {"at": 1}, {"at": 2}]
    again.restart({"other": 1})
    assert again.read() == [{"other": 1}]
    again.close()


@pytest.mark.parametrize("cut", range(1, 18))
def test_a_record_that_was_cut_off_is_forgotten_and_nothing_is_appended_to_it(path: Path, cut: int) -> None:
    records = RecordFile(path)
    records.restart({"at": 1})
    records.append({"at": 2})
    records.close()
    os.truncate(path, path.stat().st_size - cut)
    again = RecordFile(path)
    assert again.read() == [{"at": 1}]
    again.append({"at": 3})
    assert again.read() == [{"at": 1}, {"at": 3}]
    again.close()


def test_a_record_with_a_wrong_checksum_ends_the_file(path: Path) -> None:
    records = RecordFile(path)
    records.restart({"at": 1})
    records.append({"at": 2})
    records.append({"at": 3})
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"at":2', b'"at":7'))
    assert records.read() == [{"at": 1}]
    records.close()


def test_half_a_record_on_a_full_disk_is_taken_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = RecordFile(path)
    records.restart({"at": 1})

    class Full:
        """A file that takes five bytes more."""

        def __init__(self) -> None:
            self.n_left = 5

        def write(self, data: bytes) -> int:
            if not self.n_left:
                raise OSError(errno.ENOSPC, "full")
            n = real.write(data[: self.n_left])
            self.n_left = 0
            return n

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

    real = records._file
    with monkeypatch.context() as patch:
        patch.setattr(records, "_file", Full())
        with pytest.raises(OSError, match="full"):
            records.append({"at": 2})
    records.append({"at": 3})
    assert records.read() == [{"at": 1}, {"at": 3}]
    records.close()


def test_one_owner_has_the_lock_until_it_closes_the_file(path: Path) -> None:
    first, second = RecordFile(path), RecordFile(path)
    assert (first.lock(), second.lock()) == (True, False)
    first.close()
    assert second.lock()
    second.close()


def test_the_lock_of_a_file_that_was_removed_meanwhile_is_worth_nothing(path: Path) -> None:
    first, second = RecordFile(path), RecordFile(path)
    assert first.lock()
    first.remove()
    first.close()
    assert not second.lock()
    second.close()


def test_a_file_system_is_asked_whether_it_holds_a_file_of_that_size(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with PositionedFile(tmp_path / "x", "r+") as file:
        file.check_limit(5_000_000_000)
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)) as caught:
            file.check_limit((1 << 63) - 1)
        assert caught.value.errno == errno.EFBIG
    assert (tmp_path / "x").stat().st_size == 0
