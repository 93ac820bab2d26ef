"""Parts of a text that fit a token budget: the longest beginning, or all parts in order.

A part ends at a paragraph where that keeps half of what fits, else at a line or sentence, else between words, else
between grapheme clusters. `count_tokens` is any function from a text to its number of tokens; it is called a few times
a part, with texts of about the budget. Knows no tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..errors import InvalidOption

CountTokens = Callable[[str], int]

_ENDS = tuple(  # where a part may end, in order of preference
    re.compile(pattern)
    for pattern in (
        r"\n[ \t]*\n+",
        r"\n+|[.!?…][\"'”’)\]]*\s+|[。！？][”’」』）]*|[။។៕]\s*",
        r"[ \t\u3000]+|\u200b+",
    )
)
_MIN_SHARE = 0.5  # of what fits, for an end to be preferred
_GROWTH = 1.5
_MAX_ENDS = 3  # that are tried of one kind: a shorter text has more tokens only by an accident of tokenization
_TRIES = 64  # more than a bisection of any text takes


@dataclass(frozen=True)
class Part:
    """Part of a text: its `text` from the character `start`, its tokens, and the whole text's tokens and characters."""

    text: str
    start: int
    n_tokens: int
    whole_tokens: int
    whole_characters: int

    @property
    def end(self) -> int:
        """Position of the first character after the part."""
        return self.start + len(self.text)

    @property
    def is_whole(self) -> bool:
        """Whether the part is the whole text."""
        return len(self.text) == self.whole_characters


def fit(text: str, count_tokens: CountTokens, budget: int) -> Part:
    """Longest beginning of `text` of at most `budget` tokens; an empty one if not even a grapheme cluster fits."""
    whole = count_tokens(text)
    if whole <= budget:
        return Part(text, 0, whole, whole, len(text))
    end, n_tokens = _Cutter(text, count_tokens, budget, len(text) / whole).cut(0)
    return Part(text[:end], 0, n_tokens, whole, len(text))


def chunks(text: str, count_tokens: CountTokens, budget: int) -> Iterator[Part]:
    """Consecutive parts of at most `budget` tokens each, which together are the whole text.

    Raises InvalidOption where one grapheme cluster has more tokens than the budget.
    """
    whole = count_tokens(text)
    cutter = _Cutter(text, count_tokens, budget, len(text) / max(1, whole))
    start = 0
    while start < len(text):
        end, n_tokens = cutter.cut(start)
        if end == start:
            hint = "give a larger budget"
            raise InvalidOption(f"a budget of {budget:,} tokens does not hold the character at {start:,}", hint)
        yield Part(text[start:end], start, n_tokens, whole, len(text))
        start = end


class _Cutter:
    """Ends of parts in one text, with the characters a token that the last part had as the first try for the next."""

    def __init__(self, text: str, count_tokens: CountTokens, budget: int, characters_per_token: float) -> None:
        self._text = text
        self._count = count_tokens
        self._budget = budget
        self._per_token = characters_per_token

    def cut(self, start: int) -> tuple[int, int]:
        """End of the part from `start`, and its tokens; `start` and 0 where nothing fits."""
        furthest, n_tokens = self._furthest(start)
        if furthest == len(self._text) or furthest == start:
            return furthest, n_tokens
        self._per_token = (furthest - start) / max(1, n_tokens)
        least = start + int((furthest - start) * _MIN_SHARE)
        for end_pattern in _ENDS:
            found = (match.end() for match in end_pattern.finditer(self._text, start, furthest))
            ends = [end for end in found if end >= least]
            for end in ends[: -_MAX_ENDS - 1 : -1]:
                if self._is_boundary(end) and (counted := self._count(self._text[start:end])) <= self._budget:
                    return end, counted
        return furthest, n_tokens

    def _furthest(self, start: int) -> tuple[int, int]:
        """Last cluster boundary up to which the text fits, and its tokens: by interpolation, then bisection."""
        fits, n_fitting = start, 0
        fails, n_failing = len(self._text) + 1, 0
        guess = start + max(1, int(self._budget * self._per_token))
        for attempt in range(_TRIES):
            end = self._boundary(min(guess, len(self._text)), fits, fails)
            if end is None:
                break
            n_tokens = self._count(self._text[start:end])
            if n_tokens <= self._budget:
                fits, n_fitting = end, n_tokens
            else:
                fails, n_failing = end, n_tokens
            guess = self._next(start, (fits, n_fitting), (fails, n_failing), attempt)
        return fits, n_fitting

    def _next(self, start: int, fitting: tuple[int, int], failing: tuple[int, int], attempt: int) -> int:
        """Position to try next, between one that fits and one that does not."""
        if not failing[1]:
            return start + int((fitting[0] - start) * _GROWTH) + 1
        if attempt % 3 == 2:
            return (fitting[0] + failing[0]) // 2
        share = (self._budget - fitting[1]) / max(1, failing[1] - fitting[1])
        return fitting[0] + int((failing[0] - fitting[0]) * min(1.0, max(0.0, share)))

    def _boundary(self, position: int, fits: int, fails: int) -> int | None:
        """Cluster boundary nearest to `position` strictly between two others; None where there is none."""
        before = self._boundary_at_or_before(max(position, fits + 1))
        if fits < before < fails:
            return before
        after = self._boundary_after(fits)
        return after if after < fails else None

    def _is_boundary(self, position: int) -> bool:
        return self._boundary_at_or_before(position) == position

    def _boundary_at_or_before(self, position: int) -> int:
        from wcwidth import grapheme_boundary_before

        if position >= len(self._text):
            return len(self._text)
        return grapheme_boundary_before(self._text, position + 1) if position > 0 else 0

    def _boundary_after(self, position: int) -> int:
        from wcwidth import iter_graphemes

        return position + len(next(iter_graphemes(self._text, position), ""))
