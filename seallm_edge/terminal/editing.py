"""Positions in an edited line: steps by grapheme cluster and by word, and what Backspace takes. Knows no keys."""

from __future__ import annotations

from ..text.segments import segments
from ..text.unicode import clusters

_ZWJ, _KEYCAP = "\u200d", "\u20e3"
_SELECTORS = range(0xFE00, 0xFE10)
_EMOJI = range(0x1F000, 0x20000)  # pictures, flags and skin tones


def after(text: str, position: int) -> int:
    """Position behind the grapheme cluster at or around `position`."""
    return next((end for end in _ends(text) if end > position), len(text))


def before(text: str, position: int) -> int:
    """Position before the grapheme cluster that ends at or spans `position`."""
    start = 0
    for end in _ends(text):
        if end >= position:
            return start
        start = end
    return start


def deleted_by_backspace(text: str, position: int) -> int:
    """Code points before `position` that Backspace deletes: a whole emoji or flag, else one.

    In Thai, Lao, Khmer, Burmese, Tamil, Javanese and decomposed Vietnamese a cluster is typed sign by sign, and
    Backspace takes back the last sign: น้ำ → น้ → น.
    """
    start = before(text, position)
    cluster = text[start:position]
    is_picture = any(ord(char) in _EMOJI or char in (_ZWJ, _KEYCAP) for char in cluster)
    is_picture = is_picture or (len(cluster) > 1 and ord(cluster[-1]) in _SELECTORS) or cluster == "\r\n"
    return position - start if is_picture else min(1, position)


def word_after(text: str, position: int) -> int:
    """Position behind the word at `position`, or behind the next one."""
    end = 0
    for word in segments(text):
        end += len(word)
        behind = end - (len(word) - len(word.rstrip()))  # a segment has the spaces that follow its word
        if behind > position:
            return behind
    return len(text)


def word_before(text: str, position: int) -> int:
    """Position before the word that ends at or spans `position`, or before the one in front of it."""
    starts = [0]
    for word in segments(text):
        starts.append(starts[-1] + len(word))
    return max((start for start in starts if start < position and text[start:position].strip()), default=0)


def _ends(text: str) -> list[int]:
    ends, end = [], 0
    for cluster in clusters(text):
        end += len(cluster)
        ends.append(end)
    return ends
