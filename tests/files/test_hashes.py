"""Lists of sha256, as they lie on somebody else's disk."""

import os
from pathlib import Path

import pytest

from seallm_edge.files.hashes import read_sums, write_sums

DIGITS = "0123456789abcdef" * 4


def test_list_is_read_as_it_is_written(tmp_path: Path) -> None:
    hashes = {"models/ก/a b.gguf": DIGITS, "README.txt": DIGITS[::-1]}
    write_sums(tmp_path / "SHA256SUMS", hashes)
    assert read_sums(tmp_path / "SHA256SUMS") == hashes


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "..", "..\\a", "\\\\server\\a", "C:\\a", "c:a"])
def test_path_that_leaves_the_folder_is_left_out(name: str, tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text(f"{DIGITS}  {name}\n{DIGITS.upper()} *a..b\nrubbish\n")
    assert read_sums(tmp_path / "SHA256SUMS") == {"a..b": DIGITS}


def test_list_without_an_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").touch()
    os.truncate(tmp_path / "SHA256SUMS", (4 << 20) + 1)
    with pytest.raises(OSError, match="File too large"):
        read_sums(tmp_path / "SHA256SUMS")


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_list_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_text(f"{DIGITS}  a\n")
    (tmp_path / "SHA256SUMS").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="Not a regular file"):
        read_sums(tmp_path / "SHA256SUMS")
