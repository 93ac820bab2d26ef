"""Characters of a grammar: escapes and classes → code points, without U+0000 and surrogates."""

from __future__ import annotations

import re
from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]
"""(first, last) code points, both included; sorted and disjoint."""

ANY: Ranges = ((0x1, 0xD7FF), (0xE000, 0x10FFFF))

_CHARACTER = r'\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[trn\\"\[\]-])|[^\\]'
_ONE = re.compile(_CHARACTER, re.DOTALL)
_ONE_OR_RANGE = re.compile(rf"({_CHARACTER})(?:-({_CHARACTER}))?", re.DOTALL)
_CONTROLS = {"t": "\t", "r": "\r", "n": "\n"}


def letters(body: str) -> list[Ranges]:
    """Characters of a literal, without its quotes. Raises ValueError for an unknown escape or an invalid code point."""
    found: list[Ranges] = []
    position = 0
    while position < len(body):
        match = _match(_ONE, body, position)
        point = _code_point(match[0])
        if not any(first <= point <= last for first, last in ANY):
            raise ValueError(f"U+{point:04X} is no character that a text can hold")
        found.append(((point, point),))
        position = match.end()
    return found


def char_class(body: str) -> Ranges:
    """Characters of a class, without its brackets; a leading `^` negates it. Raises ValueError for an empty class."""
    negated = body.startswith("^")
    ranges = []
    position = int(negated)
    while position < len(body):
        match = _match(_ONE_OR_RANGE, body, position)
        first, last = _code_point(match[1]), _code_point(match[2] or match[1])
        if last < first:
            raise ValueError(f"the range {match[0]} ends before it begins")
        ranges.append((first, last))
        position = match.end()
    if not ranges:
        raise ValueError(f"the character class [{body}] names no character")
    kept = _inside(_others(ranges) if negated else ranges)
    if not kept:
        raise ValueError(f"no character is in [{body}]")
    return kept


def _match(pattern: re.Pattern[str], body: str, position: int) -> re.Match[str]:
    match = pattern.match(body, position)
    if not match:
        raise ValueError(
            f'{body[position : position + 2]} is no escape: \\n \\r \\t \\\\ \\" \\[ \\] \\- \\xHH \\uHHHH \\UHHHHHHHH'
        )
    return match


def _code_point(text: str) -> int:
    if len(text) == 1:
        return ord(text)
    if text[1] in "xuU":
        return int(text[2:], 16)
    return ord(_CONTROLS.get(text[1], text[1]))


def _others(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Code points outside `ranges`."""
    gaps = []
    free = 0
    for first, last in sorted(ranges):
        if first > free:
            gaps.append((free, first - 1))
        free = max(free, last + 1)
    return (*gaps, (free, ANY[-1][1]))


def _inside(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Code points of `ranges`, sorted and merged, without U+0000 and surrogates."""
    kept: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        for lowest, highest in ANY:
            low, high = max(first, lowest), min(last, highest)
            if low > high:
                continue
            if kept and low <= kept[-1][1] + 1:
                kept[-1] = (kept[-1][0], max(high, kept[-1][1]))
            else:
                kept.append((low, high))
    return tuple(kept)
