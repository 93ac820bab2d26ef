"""`ProgressTracker`: resume points of a pass. Chunks finish in any order; one counts once all before it are written."""

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
        self._end = min(starts, key=lambda point: point.position)
        self._errors = [dict(point.errors) for point in starts]
        self._waiting: dict[int, tuple[RowChunk, Sequence[Errors]]] = {}
        self._next = 0
        self.done_bytes = 0

    def is_done(self, output: int, chunk: RowChunk) -> bool:
        """Whether this output held the chunk before the pass began."""
        return chunk.end.position <= self._starts[output].position

    def add(self, chunk: RowChunk, errors: Sequence[Errors]) -> None:
        """Record that the chunk is written to every output; `errors` has the error sums of each."""
        with self._lock:
            self._waiting[chunk.index] = chunk, errors
            while self._next in self._waiting:
                chunk, errors = self._waiting.pop(self._next)
                self._end = chunk.end
                self._next += 1
                self.done_bytes += chunk.n_bytes
                for sums, more in zip(self._errors, errors, strict=True):
                    for name, (error, square) in more.items():
                        before = sums.get(name, (0.0, 0.0))
                        sums[name] = before[0] + error, before[1] + square

    def resume_points(self) -> list[ResumePoint]:
        """The resume point of each output."""
        with self._lock:
            return [self._resume_point(start, errors) for start, errors in zip(self._starts, self._errors, strict=True)]

    def _resume_point(self, start: ResumePoint, errors: Errors) -> ResumePoint:
        if self._end.position <= start.position:
            return start
        return ResumePoint(self._end.shard, self._end.offset, self._end.digest, dict(errors))
