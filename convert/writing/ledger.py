"""What is done of a pass: pieces end in any order, but only what has nothing undone before it counts."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from .feed import Piece
from .journal import Errors, Mark


class Ledger:
    """The marks of several outputs that are written in one pass. Any thread may call any method."""

    def __init__(self, starts: Sequence[Mark]) -> None:
        self._lock = threading.Lock()
        self._starts = starts
        self._end = min(starts, key=lambda mark: mark.place)
        self._errors = [dict(mark.errors) for mark in starts]
        self._waiting: dict[int, tuple[Piece, Sequence[Errors]]] = {}
        self._next = 0
        self.done_bytes = 0

    def is_done(self, output: int, piece: Piece) -> bool:
        """Whether this output had the piece before the pass began."""
        return piece.end.place <= self._starts[output].place

    def add(self, piece: Piece, errors: Sequence[Errors]) -> None:
        """The piece is written to every output; `errors` has each one's sums."""
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

    def marks(self) -> list[Mark]:
        """How far each output is."""
        with self._lock:
            return [self._mark(start, errors) for start, errors in zip(self._starts, self._errors, strict=True)]

    def _mark(self, start: Mark, errors: Errors) -> Mark:
        if self._end.place <= start.place:
            return start
        return Mark(self._end.shard, self._end.offset, self._end.digest, dict(errors))
