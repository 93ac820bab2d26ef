"""Zawgyi, a font encoding of much Burmese text: detection, and conversion to Unicode.

Zawgyi gives Unicode's code points other meanings: signs are in visual order, and each form of a sign has a code point.
ref: Unicode Technical Note 11; Unicode FAQ, Myanmar scripts
"""

from __future__ import annotations

import re
import unicodedata

# Sequences that no Unicode text has: a virama that stacks nothing, a vowel e at the start of a word or before the
# medial ra. The code points of other forms are letters of minority languages.
_ZAWGYI_ONLY = re.compile(
    "\u1039(?![\u1000-\u1021])|(?:^|[\\s\u104a\u104b])\u1031[\u1000-\u1021]|\u1031\u103b[\u1000-\u1021]"
)

_KINZI = "\u1004\u103a\u1039"
_FORMS = {
    "\u1033": "\u102f", "\u1034": "\u1030", "\u1039": "\u103a", "\u103a": "\u103b", "\u107d": "\u103b",
    "\u103b": "\u103c", **dict.fromkeys("\u107e\u107f\u1080\u1081\u1082\u1083\u1084", "\u103c"),
    "\u103c": "\u103d", "\u108a": "\u103d\u103e", "\u103d": "\u103e", "\u1087": "\u103e",
    "\u1088": "\u103e\u102f", "\u1089": "\u103e\u1030", "\u105a": "\u102b\u103a", "\u1064": _KINZI,
    "\u108b": _KINZI + "\u102d", "\u108c": _KINZI + "\u102e", "\u108d": _KINZI + "\u1036", "\u108e": "\u102d\u1036",
    "\u1060": "\u1039\u1000", "\u1061": "\u1039\u1001", "\u1062": "\u1039\u1002", "\u1063": "\u1039\u1003",
    "\u1065": "\u1039\u1005", "\u1066": "\u1039\u1006", "\u1067": "\u1039\u1006", "\u1068": "\u1039\u1007",
    "\u1069": "\u1039\u1008", "\u106a": "\u1009", "\u106b": "\u100a", "\u106c": "\u1039\u100b",
    "\u106d": "\u1039\u100c",
    "\u106e": "\u100d\u1039\u100d", "\u106f": "\u100d\u1039\u100e", "\u1070": "\u1039\u100f", "\u1071": "\u1039\u1010",
    "\u1072": "\u1039\u1010", "\u1073": "\u1039\u1011", "\u1074": "\u1039\u1011", "\u1075": "\u1039\u1012",
    "\u1076": "\u1039\u1013", "\u1077": "\u1039\u1014", "\u1078": "\u1039\u1015", "\u1079": "\u1039\u1016",
    "\u107a": "\u1039\u1017", "\u107b": "\u1039\u1018", "\u107c": "\u1039\u1019", "\u1085": "\u1039\u101c",
    "\u1086": "\u103f", "\u108f": "\u1014", "\u1090": "\u101b", "\u1091": "\u100f\u1039\u100d",
    "\u1092": "\u100b\u1039\u100c", "\u1093": "\u1039\u1018", "\u1094": "\u1037", "\u1095": "\u1037",
    "\u1096": "\u1039\u1010\u103d", "\u1097": "\u100b\u1039\u100b",
}  # fmt: skip
_TO_FORMS = str.maketrans(_FORMS)

# A syllable after the forms are replaced: e and ra before the consonant, stacked consonants under it, signs after it.
_BASE = "[\u1000-\u102a\u103f\u1040\u1044\u1047\u104e]"  # digits are typed for letters they look like
_SYLLABLE = re.compile(
    f"(?P<before>[\u1031\u103c]*)(?P<base>{_BASE})(?P<after>(?:\u1039{_BASE}|{_KINZI}|[\u102b-\u1030\u1032\u1036-\u1038\u103a\u103b\u103d\u103e])*)"
)
_STACKED = re.compile(f"{_KINZI}|\u1039{_BASE}")
_RANK = {sign: rank for rank, signs in enumerate(
    ("\u103b", "\u103c", "\u103d", "\u103e", "\u1031", "\u102d\u102e\u1032", "\u102f\u1030", "\u102b\u102c", "\u103a",
     "\u1036", "\u1037", "\u1038")
) for sign in signs}  # fmt: skip

# Digits typed as letters: zero as wa, seven as ra, four as "the said"; and letters made of two.
_LETTERS = [
    (re.compile("(?<![\u1040-\u1049])\u1040(?=[\u1000-\u1021\u102b-\u103e])(?![\u1040-\u1049])"), "\u101d"),
    (re.compile("(?<![\u1040-\u1049\\s.,])\u1040(?![\u1040-\u1049.,])"), "\u101d"),
    (re.compile("(?<![\u1040-\u1049])\u1047(?=[\u102b-\u103e])"), "\u101b"),
    (re.compile("\u1044(?=\u1004\u103a\u1038)"), "\u104e"),
    (re.compile("\u1025(?=[\u102f\u102d\u103a]*\u103a)"), "\u1009"),
    (re.compile("\u1025\u102e"), "\u1026"),
    (re.compile("\u101e\u103c\u1031\u102c"), "\u1029"),
]


def looks_like_zawgyi(text: str) -> bool:
    """Whether `text` has Burmese in the Zawgyi encoding, not in Unicode."""
    return bool(_ZAWGYI_ONLY.search(text))


def zawgyi_to_unicode(text: str) -> str:
    """Convert Zawgyi text to Unicode, NFC. Keeps other scripts, but damages Burmese that is Unicode already."""
    text = _SYLLABLE.sub(_reordered, text.translate(_TO_FORMS))
    for pattern, letter in _LETTERS:
        text = pattern.sub(letter, text)
    return unicodedata.normalize("NFC", text)


def _reordered(syllable: re.Match[str]) -> str:
    """Syllable with its signs in Unicode's order: stacked consonants, medials, vowels, tones; each once."""
    before, base, after = syllable["before"], syllable["base"], syllable["after"]
    stacked = _STACKED.findall(after)
    signs = dict.fromkeys(before + _STACKED.sub("", after))
    kinzi = _KINZI if _KINZI in stacked else ""
    under = "".join(part for part in stacked if part != _KINZI)
    return kinzi + base + under + "".join(sorted(signs, key=lambda sign: _RANK.get(sign, len(_RANK))))
