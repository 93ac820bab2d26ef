"""`RowReader`: source weights in file order, one chunk of rows for each call of a worker.

From a disk each worker reads its own chunk. A network has one stream: workers read from it one after another, while
the others compute; all bytes are read, so that the sha256 can be checked.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..sources.shards import LocalShard, Shard, ShardStream, SourceTensor, StreamedShard
from .journal import ResumePoint

if TYPE_CHECKING:
    from seallm_edge.native.quantizer import Bytes


_READ_AHEAD_CHUNKS = 16  # after this many, read-ahead of twice as many starts, so that workers do not wait for the disk


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
    def offset(self) -> int:
        """Offset of the first byte in the shard."""
        return self.source.offset + self.first_row * self.source.row_bytes

    @property
    def n_bytes(self) -> int:
        """Bytes in the source."""
        return self.n_rows * self.source.row_bytes


class RowReader:
    """Reader of the chunks of `sources` from `start` on, each at most `most_weights` weights or one row.

    `sources` are in byte order, `shards` in that of the resume points. Any thread may call any method.
    """

    def __init__(
        self, shards: Sequence[Shard], sources: Sequence[SourceTensor], start: ResumePoint, most_weights: int
    ) -> None:
        self._shards = shards
        self._lock = threading.Lock()
        self._stream: ShardStream | None = None
        self._is_closed = False
        self.shard = start.shard  # number of the current shard
        self._chunks = self._all_chunks(sources, start, most_weights)

    def take(self, buffer: Bytes) -> RowChunk | None:
        """Read the next chunk into the start of `buffer`; None when none is left, or after `close`.

        Raises CheckpointError, and HubError for a hub.
        """
        with self._lock:
            chunk = None if self._is_closed else next(self._chunks, None)
            if chunk and self._stream:
                return _streamed(self._stream, chunk, buffer)
        if chunk:
            self._read(chunk, buffer)
        return chunk

    def close(self) -> None:
        """Give no more chunks, and close the stream, which ends a worker's wait for it."""
        self._is_closed = True
        if stream := self._stream:
            stream.close()

    def _all_chunks(self, sources: Sequence[SourceTensor], start: ResumePoint, most_weights: int) -> Iterator[RowChunk]:
        """Chunks in file order, not yet read; `self._stream` is the one that the yielded chunk comes from."""
        index = 0
        for number in range(start.shard, len(self._shards)):
            self.shard, shard = number, self._shards[number]
            begin = start if number == start.shard else ResumePoint(number)
            self._stream = shard.stream(begin.offset, begin.digest) if isinstance(shard, StreamedShard) else None
            for task, source in enumerate(sources):
                if source.shard is shard:
                    for first_row, n_rows in _row_ranges(source, begin.offset, most_weights):
                        end = ResumePoint(number, source.offset + (first_row + n_rows) * source.row_bytes)
                        yield RowChunk(index, task, source, first_row, n_rows, end)
                        index += 1
            if self._stream:
                self._stream.skip(shard.size - self._stream.position)
                self._stream.finish()
                self._stream.close()
                self._stream = None

    def _read(self, chunk: RowChunk, buffer: Bytes) -> None:
        shard = chunk.source.shard
        if chunk.index % _READ_AHEAD_CHUNKS == 0 and isinstance(shard, LocalShard):
            shard.expect(chunk.end.offset, 2 * _READ_AHEAD_CHUNKS * len(buffer))
        shard.read(chunk.offset, buffer[: chunk.n_bytes].data)


def _streamed(stream: ShardStream, chunk: RowChunk, buffer: Bytes) -> RowChunk:
    """Read a chunk from the stream; its end then has the running sha256."""
    stream.skip(chunk.offset - stream.position)
    stream.readinto(buffer[: chunk.n_bytes].data)
    return replace(chunk, end=replace(chunk.end, digest=stream.digest_state()))


def _row_ranges(source: SourceTensor, begin: int, most_weights: int) -> Iterator[tuple[int, int]]:
    """(first row, number of rows) of each chunk after byte `begin`; no chunk spans two experts."""
    done = max(begin - source.offset, 0) // max(source.row_bytes, 1)
    per_expert = source.shape[-2] if len(source.shape) > 1 else 1
    step = max(1, most_weights // source.n_per_row)
    while done < source.n_rows:
        n_rows = min(step, per_expert - done % per_expert)
        yield done, n_rows
        done += n_rows


def max_chunk_bytes(sources: Sequence[SourceTensor], most_weights: int) -> int:
    """Bytes of the largest chunk of these sources."""
    rows = ((s.row_bytes, max(1, most_weights // s.n_per_row), s.n_rows) for s in sources)
    return max(row * min(step, n_rows) for row, step, n_rows in rows)
