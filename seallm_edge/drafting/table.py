"""`StaticNgramCache`: drafts from an n-gram table that was counted from text beforehand."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from .contract import Drafter, DraftToken
from .table_file import CONFIDENCES, FACTOR, FOLD, HAS_LONGER, MASK, TERM, TableFile

_CONFIDENCE_OF = [((mark >> 1) + 0.5) / CONFIDENCES for mark in range(256)]


class StaticNgramCache(Drafter):
    """N-gram cache that any number of sequences and threads can share. Raises DraftTableError for a file that is no
    table; OSError.

    Each context stores its likeliest next token with a probability; the longest context found counts. Shorter suffixes
    of a stored context are stored too, so the search stops at the first one that is missing.
    """

    def __init__(self, path: Path) -> None:
        self._file = file = TableFile(path)
        self.path = path
        self.metadata = file.metadata
        self._order = file.metadata.order
        self._arrays = file.buckets, file.hashes, file.predictions, file.marks, file.tokens

    def next(self, tokens: Sequence[int], draft: Sequence[int]) -> DraftToken | None:
        """The prediction of the longest matching context."""
        n = self._order - len(draft)
        return self.lookup([*tokens[-n:], *draft] if n > 0 else draft)

    def lookup(self, tail: Sequence[int]) -> DraftToken | None:
        """The prediction for the last tokens of a text, given as many as contexts have (fewer at its beginning)."""
        buckets, hashes, predictions, marks, tokens = self._arrays
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
        return DraftToken(tokens[predictions[found]], _CONFIDENCE_OF[marks[found]], "table")
