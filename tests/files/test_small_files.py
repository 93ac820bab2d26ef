"""Small files of somebody else's disk: no link is followed, nothing is read without an end."""

import os
from pathlib import Path

import pytest

from seallm_edge.files.small_files import read_small_file


def test_regular_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\r\n\x1a" * 10)
    assert read_small_file(tmp_path / "a") == b"\r\n\x1a" * 10
    assert read_small_file(tmp_path / "a", 30) == b"\r\n\x1a" * 10


def test_larger_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(31))
    with pytest.raises(OSError, match="File too large"):
        read_small_file(tmp_path / "a", 30)
    os.truncate(tmp_path / "a", (1 << 20) + 1)
    with pytest.raises(OSError, match="File too large"):
        read_small_file(tmp_path / "a")


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_links_pipes_devices_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("key")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "link", tmp_path / "dangling", tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="Not a regular file"):
            read_small_file(path)
    with pytest.raises(FileNotFoundError):
        read_small_file(tmp_path / "nothing")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")
def test_endless_file_of_no_size_ends_at_the_limit() -> None:
    with pytest.raises(OSError, match="File too large"):
        read_small_file(Path("/proc/self/environ"), 1)
