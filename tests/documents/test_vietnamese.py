"""Vietnamese tables: every letter once, and iconv as oracle."""

import shutil
import subprocess
import unicodedata

import pytest

from seallm_edge.documents.vietnamese import TCVN3, VISCII, VNI, decode_by

TONES = ("", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323")
MARKED = {unicodedata.normalize("NFC", vowel + tone) for vowel in "aăâeêioôơuưyAĂÂEÊIOÔƠUƯY" for tone in TONES}
LETTERS = {letter for letter in MARKED | {"đ", "Đ"} if not letter.isascii()}


def test_viscii_has_every_vietnamese_letter_once() -> None:
    assert len(VISCII) == 256
    assert sorted(char for char in VISCII if not char.isascii()) == sorted(LETTERS)


def test_tcvn3_has_every_vietnamese_letter_and_the_combining_tones_once() -> None:
    assert len(TCVN3) == 256
    assert sorted(char for char in TCVN3 if not char.isascii()) == sorted(LETTERS | set(TONES[1:]) | {"\u00a0"})


def test_vni_writes_every_vietnamese_letter_with_one_or_two_bytes() -> None:
    pairs = {bytes([first, second]) for first in VNI for second in VNI} | {bytes([byte]) for byte in VNI}
    written = {text for data in pairs if len(text := decode_by(VNI, data)) == 1}
    assert written >= LETTERS


@pytest.mark.skipif(not shutil.which("iconv"), reason="iconv is not installed")
@pytest.mark.parametrize(("table", "name"), [(VISCII, "VISCII"), (TCVN3, "TCVN5712-1")])
def test_tables_are_those_of_iconv(table: str, name: str) -> None:
    for byte in range(256):
        result = subprocess.run(["iconv", "-f", name, "-t", "UTF-8"], input=bytes([byte]), capture_output=True)
        if result.returncode and not result.stdout and byte == 0:
            pytest.skip(f"this iconv does not know {name}")
        assert (byte, result.stdout.decode()) == (byte, table[byte])


@pytest.mark.parametrize(
    ("table", "data", "text"),
    [
        (VISCII, b"\xd0\xdf\xb6ng ph\xaf Vi\xaet Nam", "Đường phố Việt Nam"),
        (TCVN3, b"\xa7\xad\xeang ph\xe8 Vi\xd6t Nam", "Đường phố Việt Nam"),
        (VNI, "Ñöôøng phoá Vieät Nam".encode("cp1252"), "Đường phố Việt Nam"),
    ],
)
def test_words_are_decoded(table: str, data: bytes, text: str) -> None:
    assert decode_by(table, data) == text


def test_a_byte_that_a_table_lacks_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_by(VNI, b"a\x81")
