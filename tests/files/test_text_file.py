"""Text files: good ones are decoded, hostile ones refused."""

from pathlib import Path

import pytest

from seallm_edge.files.text_file import NotUtf8, TooLarge, decode, read_text_file

THAI = '{"ชื่อ": "ก"}'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf8_is_read_with_or_without_its_mark(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.json").write_bytes(THAI.encode(encoding))
    assert read_text_file(tmp_path / "a.json") == THAI


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (THAI.encode("utf-16"), "is UTF-16, not UTF-8"),
        ("\ufeff".encode("utf-16-be") + THAI.encode("utf-16-be"), "is UTF-16, not UTF-8"),
        (b'{"a": 1}'.decode().encode("utf-16-le"), "is UTF-16, not UTF-8"),
        (b'{"a": 1}'.decode().encode("utf-16-be"), "is UTF-16, not UTF-8"),
        (THAI.encode("utf-32"), "is UTF-32, not UTF-8"),
        ('{\n"caf\xe9"}'.encode("latin-1"), "is not UTF-8: line 2 has the byte 0xe9"),
        ("กรุงเทพ".encode("tis-620"), "is not UTF-8: line 1 has the byte 0xa1"),
        ("ก".encode()[:2], "is not UTF-8: line 1 has the byte 0xe0"),
    ],
)
def test_other_encodings_are_refused_by_name_or_by_line(data: bytes, problem: str) -> None:
    with pytest.raises(NotUtf8) as caught:
        decode(data)
    assert str(caught.value) == problem


@pytest.mark.parametrize("data", [b"", b"\0", b"a\0", b"\0\0\0\0", b"a\0\0b", b"\0".join([b"ab"] * 9)])
def test_a_nul_character_alone_is_no_sign_of_utf16(data: bytes) -> None:
    assert decode(data).encode() == data


def test_a_mark_inside_a_text_stays() -> None:
    assert decode("\ufeffa".encode(), first_line=2) == "\ufeffa"


def test_a_file_larger_than_its_reader_takes_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * (1 << 20) + b"y")
    assert len(read_text_file(tmp_path / "big", (1 << 20) + 1)) == (1 << 20) + 1
    with pytest.raises(TooLarge, match=r"^is larger than 1 MiB$"):
        read_text_file(tmp_path / "big", 1 << 20)
