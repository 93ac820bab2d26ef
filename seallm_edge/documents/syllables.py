"""Syllables of Vietnamese, and words of the other Latin-script languages: which letters can stand together."""

from __future__ import annotations

import re
import unicodedata

_TONES = "\u0300\u0301\u0303\u0309\u0323"
_INITIAL = "ngh|ng|nh|n|gh|gi|g|kh|k|ch|c|th|tr|t|ph|p|qu|b|d|đ|h|l|m|r|s|v|x"
# Rhymes without tones: vowels, and the consonants that may close them.
_CLOSED = "oa|oă|uâ|uê|uyê|iê|yê|uô|ươ|a|ă|â|e|ê|i|o|ô|ơ|u|ư|oe|uy|oo"
_CLOSING = "ch|c|ng|nh|n|m|p|t"
_OPEN = (
    "a|ai|ao|au|ay|âu|ây|e|eo|ê|êu|i|ia|iêu|iu|o|oa|oai|oao|oay|oe|oeo|oi|ô|ôi|ơ|ơi|u|ua|ui|uôi|uơ|ư|ưa|ưi|ưu|ươi|ươu|"
    "uây|uê|uy|uya|uyu|y|yêu|uâu|êu"
)
_SYLLABLE = re.compile(f"(?:{_INITIAL})?(?:(?:{_CLOSED})(?:{_CLOSING})|{_OPEN})")
_WITHOUT_TONES = str.maketrans("", "", _TONES)
_COMBINING = re.compile("[\u0300-\u036f]")  # NFC leaves none on a vowel
_MARKED = re.compile("[éèêëàâáäíìîïóòôöúùûüñçåøæœšžāēīōūăĕ]", re.IGNORECASE)


def is_syllable(word: str) -> bool:
    """Whether `word`, NFC, is a syllable of Vietnamese: one tone at most, in lower case, in capitals or capitalized."""
    if not _has_one_case(word) or len(word) > 7 or _COMBINING.search(word):
        return False
    decomposed = unicodedata.normalize("NFD", word.lower())
    bare = decomposed.translate(_WITHOUT_TONES)
    if len(decomposed) - len(bare) > 1:
        return False
    return _SYLLABLE.fullmatch(unicodedata.normalize("NFC", bare)) is not None


def is_latin_word(word: str) -> bool:
    """Whether `word` has only accents that European, Filipino or Javanese words have, and not two in a row."""
    beyond = [char for char in word if not char.isascii()]
    if not all(map(_MARKED.match, beyond)) or not _has_one_case(word):
        return False
    return not re.search("[^\x00-\x7f]{2}", word) and 2 * len(beyond) <= len(word)


def _has_one_case(word: str) -> bool:
    return word.islower() or word.isupper() or (word[:1].isupper() and word[1:].islower())
