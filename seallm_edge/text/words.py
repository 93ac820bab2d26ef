"""Words of Thai, Lao, Khmer and Burmese, which are written without spaces between them.

ICU's dictionaries find words of all four languages (icu4py), budoux those of Thai. Both packages are optional: without
them words are syllables, roughly. ref: Unicode UAX #14, class SA
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache
from itertools import accumulate

from .unicode import graphemes

_BLOCKS = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x19E0, 0x19FF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F))
_VOWELS_BEFORE_CONSONANT = frozenset("เแโใไເແໂໃໄ")
# Vowels after a consonant, signs of repetition and abbreviation, punctuation.
_AFTER_SYLLABLE = frozenset("ะาๅๆฯ๏๚๛ະາຯໆຽ၊။៖។៕ៗ៘៙៚")
_ASAT = "\u103a"  # marks a consonant that ends a Burmese syllable

Splitter = Callable[[str], list[str]]


def has_no_spaces(char: str) -> bool:
    """Whether `char` belongs to a script without spaces between words (Chinese aside: any character may end a line)."""
    code = ord(char)
    return code >= 0xE00 and any(first <= code <= last for first, last in _BLOCKS)


def words(text: str) -> list[str]:
    """Words of `text`, which is in scripts without spaces only: whole grapheme clusters; joined they are the text."""
    return _whole_clusters(text, _splitter()(text))


@cache
def _splitter() -> Splitter:
    """Best splitter among the installed packages."""
    for load in (_icu, _budoux):
        try:
            return load()
        except ImportError:
            continue
    return _syllables


def _icu() -> Splitter:
    from icu4py.breakers import LineBreaker

    return lambda text: list(LineBreaker(text, "th"))  # the dictionary follows from the script, not from the locale


def _budoux() -> Splitter:
    import budoux

    parser = budoux.load_default_thai_parser()
    return lambda text: parser.parse(text) if "\u0e00" <= text[0] <= "\u0e7f" else _syllables(text)


def _syllables(text: str) -> list[str]:
    """Grapheme clusters, joined where a line must not break between them."""
    found: list[str] = []
    for cluster in graphemes(text):
        if found and (found[-1][-1] in _VOWELS_BEFORE_CONSONANT or _continues_syllable(found[-1], cluster)):
            found[-1] += cluster
        else:
            found.append(cluster)
    return found


def _continues_syllable(before: str, cluster: str) -> bool:
    first = cluster[0]
    if first in _AFTER_SYLLABLE or _ASAT in cluster[1:]:
        return True
    return unicodedata.category(first)[0] == "M" or (first.isdecimal() and before[-1].isdecimal())


def _whole_clusters(text: str, found: list[str]) -> list[str]:
    """Join words that meet inside a grapheme cluster: a dictionary knows no clusters."""
    ends = set(accumulate(map(len, graphemes(text))))
    joined, start, end = [], 0, 0
    for word in found:
        end += len(word)
        if end in ends:
            joined.append(text[start:end])
            start = end
    return joined
