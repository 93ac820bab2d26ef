"""`NgramTable`: guesses from a table of what follows what, learnt beforehand from text."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from .contract import Drafter, Guess
from .table_file import CONFIDENCES, FACTOR, FOLD, HAS_LONGER, MASK, TERM, TableFile

_CONFIDENCE_OF = [((mark >> 1) + 0.5) / CONFIDENCES for mark in range(256)]


class NgramTable(Drafter):
    """Many replies, and threads, can share one. Raises DraftTableError for a file that is no table; OSError.

    For each context there is the one likeliest token and how likely it is; the longest context that is there counts.
    Shorter ones of the same end are there then too, so looking stops where none longer is.
    """

    def __init__(self, path: Path) -> None:
        self._file = file = TableFile(path)
        self.path = path
        self.metadata = file.metadata
        self._order = file.metadata.order
        self._arrays = file.buckets, file.hashes, file.guesses, file.marks, file.tokens

    def next(self, tokens: Sequence[int], draft: Sequence[int]) -> Guess | None:
        """The guess of the longest context."""
        n = self._order - len(draft)
        return self.guess([*tokens[-n:], *draft] if n > 0 else draft)

    def guess(self, tail: Sequence[int]) -> Guess | None:
        """The same for the last tokens of a text, as many as contexts have; fewer at its beginning."""
        buckets, hashes, guesses, marks, tokens = self._arrays
        value, found, n_tail = 0, -1, len(tail)
        for i in range(n_tail - 1, max(n_tail - self._order, 0) - 1, -1):
            value = (value ^ tail[i]) * FACTOR + TERM & MASK  # `step_hash`, in place: a call costs more
            value ^= value >> FOLD
            bucket, low = value >> 16, value & 0xFFFF
            end = buckets[bucket + 1]
            place = bisect_left(hashes, low, buckets[bucket], end)
            if place == end or hashes[place] != low:
                break
            found = place
            if not marks[place] & HAS_LONGER:
                break
        if found < 0:
            return None
        return Guess(tokens[guesses[found]], _CONFIDENCE_OF[marks[found]], "table")
