"""Vietnamese encodings that Python has no codecs for: VISCII, TCVN3 (ABC fonts) and VNI, as tables of 256 bytes.

ref: RFC 1456 (VISCII); TCVN 5712:1993, VN1 with its subset VN3 (TCVN3); VNI for Windows, a letter and then its marks
"""

from __future__ import annotations

import codecs
import unicodedata

_ASCII = "".join(map(chr, range(128)))


def _with(table: str, letters: dict[int, str]) -> str:
    """`table` with other characters at some positions."""
    return "".join(letters.get(position, char) for position, char in enumerate(table))


VISCII = _with(_ASCII, {0x02: "Ẳ", 0x05: "Ẵ", 0x06: "Ẫ", 0x14: "Ỷ", 0x19: "Ỹ", 0x1E: "Ỵ"}) + (
    "ẠẮẰẶẤẦẨẬẼẸẾỀỂỄỆỐ"
    "ỒỔỖỘỢỚỜỞỊỎỌỈỦŨỤỲ"
    "ÕắằặấầẩậẽẹếềểễệốồổỗỠƠộờởịỰỨỪỬơớƯ"
    "ÀÁÂÃẢĂẳẵÈÉÊẺÌÍĨỳĐứÒÓÔạỷừửÙÚỹỵÝỡư"
    "àáâãảăữẫèéêẻìíĩỉđựòóôõỏọụùúũủýợỮ"
)

_TCVN_CAPITALS = dict(zip((1, 2, 4, 5, 6, *range(0x11, 0x18)), "ÚỤỪỬỮỨỰỲỶỸÝỴ", strict=True))
TCVN3 = _with(_ASCII, _TCVN_CAPITALS) + (
    "ÀẢÃÁẠẶẬÈẺẼÉẸỆÌỈĨÍỊÒỎÕÓỌỘỜỞỠỚỢÙỦŨ"
    "\u00a0ĂÂÊÔƠƯĐăâêôơưđẰ\u0300\u0309\u0303\u0301\u0323àảãáạẲằẳẵắẴ"
    "ẮẦẨẪẤỀặầẩẫấậèỂẻẽéẹềểễếệìỉỄẾỒĩíịò"
    "ỔỏõóọồổỗốộờởỡớợùỖủũúụừửữứựỳỷỹýỵỐ"
)

_TONES = ("", "\u0301", "\u0300", "\u0309", "\u0303", "\u0323")  # none, acute, grave, hook above, tilde, dot below
_VNI_LETTERS = dict(zip("ÔÖÑÍÌÆÓÒÎ", "ƠƯĐÍÌỈĨỊỴ", strict=True))
_VNI_MARKS = {
    **dict(zip("ÙØÛÕÏ", _TONES[1:], strict=True)),
    **dict(zip("ÂÁÀÅÃÄ", ("\u0302" + tone for tone in _TONES), strict=True)),
    **dict(zip("ÊÉÈÚÜË", ("\u0306" + tone for tone in _TONES), strict=True)),
}


def _vni() -> dict[int, str]:
    """Table of VNI: Windows-1252 with marks and letters in two cases; five bytes are undefined."""
    table = {byte: char for byte in range(256) if (char := bytes([byte]).decode("cp1252", "ignore"))}
    for at, text in (_VNI_LETTERS | _VNI_MARKS).items():
        table[ord(at)] = text
        table[ord(at.lower())] = text.lower()
    return table


VNI = _vni()


def decode_by(table: str | dict[int, str], data: bytes) -> str:
    """Text of `data` by a table of this module, NFC. Raises UnicodeDecodeError for an undefined byte."""
    return unicodedata.normalize("NFC", codecs.charmap_decode(data, "strict", table)[0])
