"""File systems by name."""

from pathlib import Path

import pytest

from seallm_edge.files import file_system
from seallm_edge.files.file_system import file_system_of, is_fat, is_unmounted


@pytest.mark.parametrize("name", ["vfat", "msdos", "fat32", "FAT32".lower(), "fuse.fusefat"])
def test_fat_is_recognised_on_every_system(name: str) -> None:
    assert is_fat(name)


@pytest.mark.parametrize("name", ["exfat", "ext4", "ntfs", "apfs", ""])
def test_other_file_systems_hold_large_files(name: str) -> None:
    assert not is_fat(name)


def test_folder_that_does_not_exist_yet_has_its_parents_file_system(tmp_path: Path) -> None:
    assert file_system_of(tmp_path / "a" / "b") == file_system_of(tmp_path)


def test_a_folder_where_no_disk_is_mounted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_unmounted(tmp_path / "stick")
    monkeypatch.setattr(file_system, "_MOUNT_FOLDERS", (str(tmp_path),))
    is_systems_disk = tmp_path.stat().st_dev == Path(tmp_path.anchor).stat().st_dev
    assert is_unmounted(tmp_path / "stick" / "folder") == is_systems_disk
