"""`ProgressTracker`: resume points of a pass. Chunks finish in any order; one counts once all chunks before it have."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from .journal import Errors, ResumePoint
from .row_reader import RowChunk


class ProgressTracker:
    """Resume points of several outputs that are written in one pass. Any thread may call any method."""

    def __init__(self, starts: Sequence[ResumePoint]) -> None:
        self._lock = threading.Lock()
        self._starts = starts
        self._end = min(starts, key=lambda mark: mark.place)
        self._errors = [dict(mark.errors) for mark in starts]
        self._waiting: dict[int, tuple[RowChunk, Sequence[Errors]]] = {}
        self._next = 0
        self.done_bytes = 0

    def is_done(self, output: int, piece: RowChunk) -> bool:
        """Whether this output held the chunk before the pass began."""
        return piece.end.place <= self._starts[output].place

    def add(self, piece: RowChunk, errors: Sequence[Errors]) -> None:
        """Record that the chunk is written to every output; `errors` has the error sums of each."""
        with self._lock:
            self._waiting[piece.index] = piece, errors
            while self._next in self._waiting:
                piece, errors = self._waiting.pop(self._next)
                self._end = piece.end
                self._next += 1
                self.done_bytes += piece.n_bytes
                for sums, more in zip(self._errors, errors, strict=True):
                    for name, (error, square) in more.items():
                        before = sums.get(name, (0.0, 0.0))
                        sums[name] = before[0] + error, before[1] + square

    def marks(self) -> list[ResumePoint]:
        """The resume point of each output."""
        with self._lock:
            return [self._mark(start, errors) for start, errors in zip(self._starts, self._errors, strict=True)]

    def _mark(self, start: ResumePoint, errors: Errors) -> ResumePoint:
        if self._end.place <= start.place:
            return start
        return ResumePoint(self._end.shard, self._end.offset, self._end.digest, dict(errors))
