"""Plausibility of decoded text, 0 to 1: how well its characters beyond ASCII fit one of the 12 languages.

Wrongly decoded bytes give letters in impossible orders. Thai signs must follow letters that can carry them, Chinese
must be made of frequent characters, a word of Vietnamese letters must be a syllable. Knows text, not encodings.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from .frequent_han import is_frequent, is_listed
from .syllables import is_latin_word, is_syllable

_SAMPLE = 8_000  # characters that are looked at
_CONTROL_WEIGHT = 8  # of a control character relative to a letter
_MAX_CONTROLS = 0.02  # share of control characters in a text
_MAX_MARKED_LATIN = 0.12  # share of letters beyond ASCII in Latin-script languages other than Vietnamese
_PLAIN_LATIN = 0.95  # fit of an accent in such a word
_MIN_MARKED_WORDS = 0.2  # share of words with letters beyond ASCII, in Vietnamese
_MIN_SYLLABLES = 0.5  # share of words that are syllables, in Vietnamese with foreign names

_LATIN_WORD = re.compile(r"(?<!\d)[A-Za-z\u00aa\u00b5\u00ba\u00c0-\u024f\u0300-\u0323\u1e00-\u1eff]+(?!\d)")
_THAI_RUN = re.compile("[\u0e01-\u0e5b]+")
_THAI_LETTER = "\u0e01-\u0e2e"
_THAI_MISFIT = re.compile(  # vowels and tones without the letter that they stand on, after or before
    f"(?<![{_THAI_LETTER}])[\u0e31\u0e34-\u0e3a\u0e47\u0e4d]|(?<![{_THAI_LETTER}\u0e31\u0e34-\u0e39])[\u0e48-\u0e4b]"
    f"|(?<![{_THAI_LETTER}\u0e34\u0e38])\u0e4c|(?<![{_THAI_LETTER}\u0e48-\u0e4b])[\u0e32\u0e33]"
    f"|(?<![{_THAI_LETTER}\u0e32\u0e48-\u0e4b])\u0e30|[\u0e40-\u0e44](?![{_THAI_LETTER}])"
)
_THAI_RARE = re.compile("[\u0e06\u0e0c\u0e0e\u0e0f\u0e11\u0e12\u0e2c]")
_THAI_OBSOLETE = re.compile("[\u0e03\u0e05\u0e26\u0e3a\u0e45\u0e4e\u0e4f\u0e5a\u0e5b]")  # or only in Pali
_RARE, _OBSOLETE = 0.5, 4  # misfits for each
_MAX_FEW = 3
# Scripts whose dependent signs follow a letter of the same script: letters, signs.
_OTHER_SCRIPTS = tuple(
    (re.compile(f"[{letters}{signs}]+"), re.compile(f"(?<![{letters}{signs}\u200c\u200d])[{signs}]"))
    for letters, signs in (
        ("\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd\u0ec0-\u0ec6\u0ed0-\u0edf", "\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd"),  # Lao
        ("\u1000-\u102a\u103f-\u1055\u105a-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f", "\u102b-\u103e\u1056-\u1059"),  # Myanmar
        ("\u1780-\u17b3\u17d4-\u17f9", "\u17b4-\u17d3"),  # Khmer
        ("\u0b83-\u0bb9\u0bd0\u0be6-\u0bfa", "\u0b82\u0bbe-\u0bcd\u0bd7"),  # Tamil
        ("\ua984-\ua9b2\ua9c1-\ua9df", "\ua980-\ua983\ua9b3-\ua9c0"),  # Javanese
    )
)
_HAN_RUN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]+")
_LISTED = 0.75  # fit of a character in general use
# Signs that do not tell one language from another: spaces, dashes, quotation marks, the ellipsis, U+FFFD.
_NEUTRAL = frozenset("\u00a0\u2010\u2011\u2012\u2013\u2014\u2015\u2018\u2019\u201c\u201d\u2026\ufffd")
_LETTER = "A-Za-z\u00c0-\u024f"
_SYMBOL = "\u00a9\u00ab\u00ae\u00b0-\u00b2\u00b7\u00bb\u00bd\u00d7\u2122"  # not between two letters
_CURRENCY = "\u20ac\u00a3\u00a5"  # not after a letter
_PUNCTUATION = re.compile(
    f"(?<![{_LETTER}])[{_CURRENCY}{_SYMBOL}]|[{_SYMBOL}](?![{_LETTER}])"
    "|[\u2020-\u2022\u20ab\u20b1\u20b9\u2190-\u2193\u2200-\u22ff\u200b-\u200f\u2060\ufeff\ufe0f"
    "\u3001\u3002\u3008-\u3011\u3014\u3015\uff01-\uff5e\u2028\u2029\U0001f000-\U0001faff]"
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x19\x1c-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Fit:
    """Fit of a text: letters and symbols beyond ASCII, and how many of them (some in part) do not fit their place."""

    n_characters: int
    misfits: float

    @property
    def plausibility(self) -> float:
        """Share of the characters that fit, 0 to 1; 1 for pure ASCII."""
        return max(0.0, 1 - self.misfits / self.n_characters) if self.n_characters else 1.0


def fit_of(text: str) -> Fit:
    """Fit of a text in the language that it is most plausible in, by a sample of its lines beyond ASCII."""
    sample = _lines_beyond_ascii(text)
    n_beyond = sum(1 for char in sample if char > "\x9f" and char not in _NEUTRAL)
    fits = _thai(sample) + _other_scripts(sample) + _han(sample) + _latin(sample) + _punctuation(sample)
    return Fit(n_beyond, max(0.0, n_beyond - fits) + _CONTROL_WEIGHT * len(_CONTROL.findall(sample)))


def is_text(text: str) -> bool:
    """Whether `text` has hardly any control characters besides line ends, tabs and escapes, and no NUL."""
    if "\0" in text:
        return False
    head = text[: _SAMPLE * 8]
    return len(_CONTROL.findall(head)) <= _MAX_CONTROLS * len(head)


def _lines_beyond_ascii(text: str) -> str:
    """Lines that are not pure ASCII, up to the size of a sample."""
    lines, n_chars = [], 0
    for line in text.splitlines():
        if not line.isascii() or _CONTROL.search(line):
            lines.append(line[: _SAMPLE - n_chars])
            n_chars += len(lines[-1])
            if n_chars >= _SAMPLE:
                break
    return unicodedata.normalize("NFC", "\n".join(lines))


def _thai(text: str) -> float:
    fits = 0.0
    for run in _THAI_RUN.finditer(text):
        if not _is_inside_other_word(text, run):
            fits += len(run[0]) - len(_THAI_MISFIT.findall(run[0]))
            fits -= _RARE * len(_THAI_RARE.findall(run[0])) + _OBSOLETE * len(_THAI_OBSOLETE.findall(run[0]))
    return fits


def _is_inside_other_word(text: str, run: re.Match[str]) -> bool:
    """Whether a few Thai letters touch a Latin one, or a single one touches a digit."""
    around = text[max(0, run.start() - 1) : run.start()] + text[run.end() : run.end() + 1]
    touches_letter = any(char.isascii() and char.isalpha() for char in around)
    return (touches_letter and len(run[0]) <= _MAX_FEW) or (len(run[0]) == 1 and any(map(str.isdigit, around)))


def _other_scripts(text: str) -> float:
    return sum(len(run) - len(misfit.findall(run)) for script, misfit in _OTHER_SCRIPTS for run in script.findall(text))


def _han(text: str) -> float:
    """Frequent characters fit, others in general use in part; one alone does not."""
    fits = 0.0
    for run in _HAN_RUN.findall(text):
        if len(run) > 1:
            fits += sum(1.0 if is_frequent(char) else _LISTED if is_listed(char) else 0.0 for char in run)
        elif is_frequent(run):
            fits += _LISTED
    return fits


def _latin(text: str) -> float:
    """Letters beyond ASCII in words that fit: syllables if the text is Vietnamese, else words with a few accents."""
    words = _LATIN_WORD.findall(text)
    marked = [word for word in words if not word.isascii()]
    if not marked:
        return 0.0
    n_marked = sum(_n_beyond(word) for word in marked)
    n_letters = sum(map(len, words))
    as_latin = sum(_n_beyond(word) for word in marked if is_latin_word(word)) * _PLAIN_LATIN
    if n_marked > _MAX_MARKED_LATIN * n_letters:
        as_latin *= 0.3
    n_syllables = sum(1 for word in words if is_syllable(word))
    is_vietnamese = min(1.0, n_syllables / len(words) / _MIN_SYLLABLES, len(marked) / len(words) / _MIN_MARKED_WORDS)
    as_vietnamese = sum(_n_beyond(word) for word in marked if is_syllable(word)) * is_vietnamese
    return max(as_latin, as_vietnamese)


def _punctuation(text: str) -> float:
    return len(_PUNCTUATION.findall(text))


def _n_beyond(word: str) -> int:
    return sum(1 for char in word if char > "\x9f")
