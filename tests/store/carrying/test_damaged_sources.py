"""Exports of models whose files in the store were damaged: none reaches a stick with a good hash."""

import os
from pathlib import Path

import pytest

from seallm_edge.errors import ModelFileError
from seallm_edge.store import record_in_place
from seallm_edge.store.carrying import exporting, stick_files
from seallm_edge.store.carrying.exporting import export
from support.shares import stored
from support.stores import files_below, sha256, write_model


def damage(path: Path, is_seen: bool = False) -> None:
    """Change bytes of a file; its modification time tells of it if `is_seen`."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(-10, 2)
        file.write(bytes(10))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + (10**9 if is_seen else 0)))


def test_model_that_was_damaged_in_the_store_is_not_exported(tmp_path: Path) -> None:
    path = stored(tmp_path, "mine")
    damage(path)
    with pytest.raises(ModelFileError, match=r"mine\.gguf: is damaged: its sha256 is"):
        export([path], tmp_path / "stick")
    assert not (tmp_path / "stick/models/mine/mine.gguf").exists()
    (tmp_path / "stick/models/mine/mine.gguf").write_bytes(path.read_bytes())
    with pytest.raises(ModelFileError, match=r"mine\.gguf: is damaged: its sha256 is"):
        export([path], tmp_path / "stick")


@pytest.mark.parametrize("is_seen", [False, True], ids=["same-time", "later"])
@pytest.mark.parametrize("split", [None, "1M"])
def test_damaged_model_is_not_exported_in_any_parts(split: str | None, is_seen: bool, tmp_path: Path) -> None:
    path = stored(tmp_path, "mine")
    known = sha256(path)
    damage(path, is_seen)
    with pytest.raises(ModelFileError) as caught:
        export([path], tmp_path / "stick", split=split)
    assert caught.value.message == (
        f"mine.gguf: is damaged: its sha256 is {sha256(path)[:12]}…, not {known[:12]}… as listed"
    )
    assert [name for name in files_below(tmp_path) if name.startswith("stick/") and name.endswith(".gguf")] == []


def test_fat32s_parts_of_a_damaged_model_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(tmp_path, "mine")
    damage(path)
    monkeypatch.setattr(exporting, "file_system_of", lambda _: "vfat")
    monkeypatch.setattr(stick_files, "MAX_FAT_FILE", 100_000)
    monkeypatch.setattr(stick_files, "_FAT_PART", 60_000)
    with pytest.raises(ModelFileError, match=r"mine\.gguf: is damaged: its sha256 is"):
        export([path], tmp_path / "stick")
    assert not (tmp_path / "stick").exists()


def test_model_of_the_users_own_may_change(home: Path, tmp_path: Path) -> None:
    (home / "models").mkdir()
    path = write_model(home / "models" / "own.gguf")
    record_in_place(path, origin="", sha256s={"own.gguf": sha256(path)})
    damage(path, is_seen=True)
    export([path], tmp_path / "stick", split="1M")
    assert "models/own/own-00001-of-00001.gguf" in files_below(tmp_path / "stick")
