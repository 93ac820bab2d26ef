"""Encodings: detected and decoded strictly, and asked for where two texts are plausible."""

import codecs
import re
import unicodedata

import pytest

from seallm_edge.documents.encodings import ENCODINGS, Candidate, Decoded, UndecodableText, candidates, decode
from seallm_edge.documents.vietnamese import TCVN3, VISCII
from seallm_edge.errors import InvalidOption
from seallm_edge.text.samples import SENTENCES

VIETNAMESE = "Sáng nay trời mưa to, đường ra chợ ngập nước nên mẹ tôi ở nhà nấu cháo."
THAI = "ร้านข้าวแกงหน้าปากซอยเปิดตั้งแต่หกโมงเช้า ราคาจานละ ๔๐ บาท"
SIMPLIFIED = "明天早上我们一起去市场买菜，然后回家做饭。"
TRADITIONAL = "明天早上我們一起去市場買菜，然後回家做飯。"
ACCENTED = "Kula badhé tindak dhateng peken tumbas kopi, regané “saé”."


def encoded_by(table: str, text: str) -> bytes:
    return bytes(table.index(char) for char in text)


def in_windows_1258(text: str) -> bytes:
    tones = "\u0300\u0301\u0303\u0309\u0323"
    parts = (
        unicodedata.normalize("NFC", "".join(c for c in decomposed if c not in tones))
        + "".join(c for c in decomposed if c in tones)
        for decomposed in (unicodedata.normalize("NFD", char) for char in text)
    )
    return "".join(parts).encode("cp1258")


@pytest.mark.parametrize("language", SENTENCES)
@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16-le", "UTF-16-LE"),
        ("utf-16-be", "UTF-16-BE"),
        ("utf-16", "UTF-16-LE"),
        ("utf-32", "UTF-32-LE"),
    ],
)
def test_unicode_is_certain_in_every_language(language: str, codec: str, name: str) -> None:
    for text in SENTENCES[language]:
        data = text.encode(codec) if codec not in ("utf-16", "utf-32") else ("\ufeff" + text).encode(f"{codec}-le")
        assert decode(data) == Decoded(text, name, is_certain=True)


@pytest.mark.parametrize(
    ("data", "name", "text"),
    [
        (THAI.encode("tis-620"), "Windows-874", THAI),
        (f"“{THAI}”…".encode("cp874"), "Windows-874", f"“{THAI}”…"),
        (encoded_by(VISCII, VIETNAMESE), "VISCII", VIETNAMESE),
        (encoded_by(TCVN3, VIETNAMESE), "TCVN3", VIETNAMESE),
        ("Saùng nay trôøi möa to, ñöôøng ra chôï ngaäp nöôùc".encode("cp1252"), "VNI", VIETNAMESE[:44]),
        (in_windows_1258(VIETNAMESE), "Windows-1258", VIETNAMESE),
        (SIMPLIFIED.encode("gb2312"), "GB18030", SIMPLIFIED),
        (TRADITIONAL.encode("big5"), "Big5", TRADITIONAL),
        (TRADITIONAL.encode("gb18030"), "GB18030", TRADITIONAL),
        (ACCENTED.encode("cp1252"), "Windows-1252", ACCENTED),
        (b"The caf\xe9 opens at 9.", "Windows-1252", "The café opens at 9."),
        (b"Don\x92t be late \x96 please.", "Windows-1252", "Don’t be late – please."),
        ((THAI.encode("utf-32-be")), "", ""),
        (b"plain words, and a line\r\n", "UTF-8", "plain words, and a line\r\n"),
        (b"", "UTF-8", ""),
    ],
)
def test_older_encodings_are_detected(data: bytes, name: str, text: str) -> None:
    if not name:
        with pytest.raises(UndecodableText):
            decode(data)
    else:
        assert decode(data) == Decoded(text, name, is_certain=True)


def test_two_plausible_texts_are_not_certain_and_both_are_candidates() -> None:
    data = "你好".encode("gb18030")
    assert not decode(data).is_certain
    assert {"GB18030", "Windows-874"} <= {candidate.encoding for candidate in candidates(data)}


def test_candidates_come_in_order_with_a_line_beyond_ascii() -> None:
    found = candidates(b"Menu\n" + THAI.encode("tis-620"))
    assert found[0] == Candidate("Windows-874", THAI[:60].strip(), 1.0)
    assert [c.plausibility for c in found] == sorted((c.plausibility for c in found), reverse=True)


def test_candidates_with_the_same_text_are_one() -> None:
    assert [candidate.sample for candidate in candidates("“Ya,” jawabnya.".encode("cp1252"))].count(
        "“Ya,” jawabnya."
    ) == 1


def test_a_long_text_is_told_by_its_first_lines() -> None:
    text = (THAI + "\n") * 5000
    assert decode(text.encode("cp874")) == Decoded(text, "Windows-874", is_certain=True)


def test_an_encoding_that_the_text_declares_is_believed() -> None:
    page = '<html><meta charset="GBK"><p>你好</p>'
    assert decode(page.encode("gbk")) == Decoded(page, "GB18030", is_certain=True)


def test_a_false_declaration_does_not_make_a_text_of_other_bytes() -> None:
    page = f'<html><meta charset="utf-8"><p>{THAI}</p>'
    assert decode(page.encode("tis-620")).text == page


@pytest.mark.parametrize("name", [name for encoding in ENCODINGS for name in (encoding.name, *encoding.aliases)])
def test_every_encoding_is_taken_by_each_of_its_names(name: str) -> None:
    codec = {"viscii": "ascii", "tcvn3": "ascii", "vni": "ascii"}.get(name.lower(), name)
    try:
        data = "plain".encode(codec)
    except LookupError:
        data = b"plain"
    assert decode(data, name.lower()).is_certain


def test_an_encoding_that_is_given_is_used() -> None:
    data = "你好".encode("gb18030")
    assert decode(data, "gbk") == Decoded("你好", "GB18030", is_certain=True)
    assert decode(data, "tis-620") == Decoded("ฤใบร", "Windows-874", is_certain=True)


def test_bytes_that_a_given_encoding_lacks_are_refused_by_line() -> None:
    with pytest.raises(UndecodableText, match=r"^is not UTF-8: line 2 has the byte 0xe9$"):
        decode(b"one\ncaf\xe9", "utf-8")


def test_an_unknown_encoding_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidOption, match=re.escape("no encoding is named 'viski'; did you mean 'VISCII'?")):
        decode(b"a", "viski")


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\x03" * 20,
        bytes(range(256)) * 4,
        b"text\x00",
        b"\x7fELF\x02\x01\x01" + bytes(60),
        codecs.BOM_UTF16_LE + b"a",
        codecs.BOM_UTF8 + b"\xff",
        codecs.BOM_UTF32_LE + b"\xff\xff\xff\xff",
        b"\xd8\x00" * 9,
    ],
)
def test_binary_data_is_refused(data: bytes) -> None:
    with pytest.raises(UndecodableText):
        decode(data)
    with pytest.raises(UndecodableText):
        candidates(data)


@pytest.mark.parametrize("language", SENTENCES)
def test_no_prefix_of_a_text_gives_a_replacement_character(language: str) -> None:
    data = SENTENCES[language][0].encode()
    for end in range(1, len(data), 7):
        try:
            text = decode(data[:end]).text
        except UndecodableText:
            continue
        assert "\ufffd" not in text
