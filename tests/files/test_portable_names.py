"""Names for FAT32, Windows and ext4."""

import unicodedata

import pytest

from seallm_edge.files.portable_names import ascii_name, portable_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SeaLLMs-v3-1.5B-Chat-Q4_K_M", "SeaLLMs-v3-1.5B-Chat-Q4_K_M"),
        ("แบบจำลองภาษาไทย", "แบบจำลองภาษาไทย"),
        ("မြန်မာဘာသာ မော်ဒယ်", "မြန်မာဘာသာ မော်ဒယ်"),
        (unicodedata.normalize("NFD", "Tiếng Việt"), "Tiếng Việt"),
        ('a:b/c\\d?e*f"g<h>i|j', "a_b_c_d_e_f_g_h_i_j"),
        ("line\nfeed\x7f", "line_feed_"),
        (" . hidden. ", "hidden"),
        ("CON", "_CON"),
        ("com1.q4", "_com1.q4"),
        ("CON .gguf", "_CON .gguf"),
        ("nul", "_nul"),
        ("CONIN$", "_CONIN$"),
        ("conout$.q4", "_conout$.q4"),
        ("LPT³", "_LPT³"),
        ("console", "console"),
        ("", "_"),
        ("...", "_"),
    ],
)
def test_name_keeps_its_letters_and_loses_what_a_file_system_refuses(name: str, expected: str) -> None:
    assert portable_name(name) == expected


@pytest.mark.parametrize("letter", ["a", "ก", "ကြ", "🌾"])
def test_long_name_is_cut_between_characters_and_keeps_a_hash(letter: str) -> None:
    names = [portable_name(letter * 300), portable_name(letter * 301)]

    assert len(set(names)) == 2
    for name in names:
        kept, _, digest = name.rpartition("-")
        assert len(digest) == 8
        assert kept == letter * (len(kept) // len(letter))
        assert 180 < len(name.encode()) <= 200


def test_ascii_name_is_distinct_where_no_letter_is_left() -> None:
    assert ascii_name("ไทย") != ascii_name("ลาว")
    assert ascii_name("ไทย").startswith("model-")
    assert ascii_name("ไทย 7B").startswith("7B-")
