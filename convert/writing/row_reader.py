"""`RowReader`: source weights in file order, one chunk of rows at a time, for whichever worker asks next.

From a disk each worker reads its own chunk. A network has one stream: workers read from it one after the other, while
the rest compute; no byte is skipped, so that its sha256 can be checked.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..sources.shards import Shard, ShardStream, SourceTensor
from .journal import ResumePoint

if TYPE_CHECKING:
    from seallm_edge.native.quantizer import Bytes


_AHEAD_PIECES = 16  # after so many, twice as many are asked for: a disk is never waited for


@dataclass(frozen=True)
class RowChunk:
    """Rows of one tensor: number `index` of the pass, of task number `task`; `end` is the resume point once it is
    written.
    """

    index: int
    task: int
    source: SourceTensor
    first_row: int
    n_rows: int
    end: ResumePoint

    @property
    def n_bytes(self) -> int:
        """Bytes in the source."""
        return self.n_rows * self.source.row_bytes


class RowReader:
    """Deals out the chunks of `sources` from `start` on, each at most `most_weights` weights or one row.

    `sources` are in byte order, `shards` in that of the resume points. Any thread may call any method.
    """

    def __init__(
        self, shards: Sequence[Shard], sources: Sequence[SourceTensor], start: ResumePoint, most_weights: int
    ) -> None:
        self._shards = shards
        self._lock = threading.Lock()
        self._stream: ShardStream | None = None
        self._is_closed = False
        self._buffer = np.empty(0, np.uint8)
        self.shard = start.shard  # the number of the one that pieces are given out of
        self._pieces = self._given_out(sources, start, most_weights)

    def take(self, buffer: Bytes) -> RowChunk | None:
        """The next chunk, its bytes at the start of `buffer`; None when there is none left, or after `close`.

        Raises CheckpointError, and HubError of a hub.
        """
        with self._lock:
            self._buffer = buffer
            piece = None if self._is_closed else next(self._pieces, None)
            is_read = self._stream is not None
        if piece is not None and not is_read:
            if piece.index % _AHEAD_PIECES == 0:
                piece.source.shard.expect(piece.end.offset, 2 * _AHEAD_PIECES * len(buffer))
            offset = piece.source.offset + piece.first_row * piece.source.row_bytes
            piece.source.shard.read(offset, buffer[: piece.n_bytes].data)
        return piece

    def close(self) -> None:
        """Deal out no more chunks, and end a stream that a worker waits for."""
        self._is_closed = True
        if stream := self._stream:
            stream.close()

    def _given_out(self, sources: Sequence[SourceTensor], start: ResumePoint, most_weights: int) -> Iterator[RowChunk]:
        index = 0
        for number in range(start.shard, len(self._shards)):
            self.shard, shard = number, self._shards[number]
            begin = start if number == start.shard else ResumePoint(number)
            self._stream = shard.stream(begin.offset, begin.digest)
            for task, source in enumerate(sources):
                if source.shard is shard:
                    for first_row, n_rows in _row_ranges(source, begin.offset, most_weights):
                        yield self._piece(index, task, source, number, first_row, n_rows)
                        index += 1
            if self._stream:
                self._stream.skip(shard.size - self._stream.position)
                self._stream.finish()
                self._stream.close()
                self._stream = None

    def _piece(self, index: int, task: int, source: SourceTensor, shard: int, first_row: int, n_rows: int) -> RowChunk:
        begin = source.offset + first_row * source.row_bytes
        digest = None
        if self._stream:
            self._stream.skip(begin - self._stream.position)
            self._stream.readinto(self._buffer[: n_rows * source.row_bytes].data)
            digest = self._stream.digest_state()
        end = ResumePoint(shard, begin + n_rows * source.row_bytes, digest)
        return RowChunk(index, task, source, first_row, n_rows, end)


def _row_ranges(source: SourceTensor, begin: int, most_weights: int) -> Iterator[tuple[int, int]]:
    """(first row, number of rows) of each chunk behind byte `begin`; none crosses from expert to expert."""
    done = max(begin - source.offset, 0) // max(source.row_bytes, 1)
    per_expert = source.shape[-2] if len(source.shape) > 1 else 1
    step = max(1, most_weights // source.n_per_row)
    while done < source.n_rows:
        n_rows = min(step, per_expert - done % per_expert)
        yield done, n_rows
        done += n_rows


def largest_piece(sources: Sequence[SourceTensor], most_weights: int) -> int:
    """Bytes of the largest chunk that a reader of these sources deals out."""
    rows = ((s.row_bytes, max(1, most_weights // s.n_per_row), s.n_rows) for s in sources)
    return max(row * min(step, n_rows) for row, step, n_rows in rows)
