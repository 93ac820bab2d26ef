"""One pass over the weights: workers take a chunk, quantize it to each output's type, and write it at its offset.

Writes are synced and journalled twice a second, so that a later run resumes an interrupted pass.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from seallm_edge.errors import HashMismatch

from ..sources.shards import LocalShard, Shard, SourceTensor
from .journal import Errors, ResumePoint
from .layout import TensorLocation, TensorSpec
from .progress_tracker import ProgressTracker
from .quantize_buffers import QuantizeBuffers
from .row_reader import RowChunk, RowReader, max_chunk_bytes
from .writer import Output

Progress = Callable[[int, int], None]  # source bytes done, source bytes in all

# All threads' buffers together: a weight takes at most 4 bytes read, 4 as f32, 4 written and 4 read back.
_BUFFER_BYTES = 48 << 20
_MAX_CHUNK_WEIGHTS = 1 << 19  # weights; more is not faster
_REPORT_SECONDS = 0.1
_RECORD_SECONDS = 0.5  # between syncs: a power loss costs this much work, and the chunks in progress


@dataclass(frozen=True)
class Job:
    """Outputs to write from `shards`; with `sums_errors` the pass sums each tensor's quantization errors."""

    outputs: Sequence[Output]
    shards: Sequence[Shard]
    threads: int
    sums_errors: bool = False


@dataclass(frozen=True)
class Statistics:
    """Seconds of a pass: wall time, and the sums over all workers of reading, computing and writing."""

    seconds: float
    reading: float
    computing: float
    writing: float


def default_threads() -> int:
    """Number of logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def end_of(shards: Sequence[Shard]) -> ResumePoint:
    """The resume point behind all shards."""
    return ResumePoint(len(shards))


def write_weights(job: Job, progress: Progress | None = None) -> tuple[list[Errors], Statistics]:
    """Write all tensors to the job's outputs: (error sums of each output, statistics).

    `progress` is called from this thread, ten times a second. Raises CheckpointError, ConversionError and HubError;
    an error or an interruption first stops every worker and records the resume points.
    """
    run = _Pass(job)
    started = time.monotonic()
    try:
        with ThreadPoolExecutor(job.threads + 1, thread_name_prefix="convert") as pool:
            try:
                recorder = pool.submit(run.keep_recording)
                _watch([pool.submit(run.work) for _ in range(job.threads)], recorder, run, progress)
            finally:
                run.stop()
        run.check_sources()
    except HashMismatch:
        run.discard_shard()
        raise
    finally:
        run.record()
    spent = run.spent
    statistics = Statistics(time.monotonic() - started, spent["read"], spent["compute"], spent["write"])
    return [point.errors for point in run.tracker.resume_points()], statistics


def _watch(workers: list[Future[None]], recorder: Future[None], run: _Pass, progress: Progress | None) -> None:
    running = set(workers)
    while running:
        finished, running = wait(running, timeout=_REPORT_SECONDS, return_when=FIRST_EXCEPTION)
        for future in finished:
            future.result()
        if recorder.done():
            recorder.result()
        if progress:
            progress(run.first_bytes + run.tracker.done_bytes, run.all_bytes)


@dataclass(frozen=True)
class _Task:
    """Source tensor in shard number `shard`, and for each output the tensor made of it and its location."""

    shard: int
    source: SourceTensor
    targets: Sequence[tuple[TensorSpec, TensorLocation]]


class _Pass:
    """State shared by the threads of one pass."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._tasks = _tasks(job)
        sources = [task.source for task in self._tasks]
        start = min((output.start for output in job.outputs), key=lambda point: point.position)
        most_weights = max(1, min(_MAX_CHUNK_WEIGHTS, _BUFFER_BYTES // (16 * job.threads)))
        self._reader = RowReader(job.shards, sources, start, most_weights)
        self._n_raw = max_chunk_bytes(sources, most_weights)
        self._stopping = threading.Event()
        self._recorded = [output.start.position for output in job.outputs]
        self._recording = threading.Lock()
        self._is_closed = False
        self.tracker = ProgressTracker([output.start for output in job.outputs])
        self.spent = Counter[str]()
        self.all_bytes = sum(source.n_bytes for source in sources)
        self.first_bytes = sum(_bytes_before(task, start) for task in self._tasks)

    def work(self) -> None:
        """Process chunks until none is left. One thread runs it, on buffers of its own."""
        buffers, watch = QuantizeBuffers(self._n_raw), _Stopwatch()
        while (chunk := self._reader.take(buffers.raw)) is not None:
            watch.lap("read")
            buffers.begin(chunk)
            self.tracker.add(chunk, [self._store(n, chunk, buffers, watch) for n in range(len(self._job.outputs))])
        watch.lap("read")
        with self._recording:
            self.spent += watch.laps

    def keep_recording(self) -> None:
        """Sync and journal twice a second, until the pass stops."""
        while not self._stopping.wait(_RECORD_SECONDS):
            self.record()

    def record(self) -> None:
        """Sync the outputs, and record their resume points in the journals."""
        with self._recording:
            if self._is_closed:
                return
            resume_points = self.tracker.resume_points()
            for number, (output, point) in enumerate(zip(self._job.outputs, resume_points, strict=True)):
                if point.position > self._recorded[number]:
                    output.record(point)
                    self._recorded[number] = point.position

    def stop(self) -> None:
        """End every thread at its next chunk."""
        self._stopping.set()
        self._reader.close()

    def check_sources(self) -> None:
        """Raise CheckpointError if a local file was changed while it was read; a stream checks its own sha256."""
        for shard in self._job.shards:
            if isinstance(shard, LocalShard):
                shard.check_unchanged()

    def discard_shard(self) -> None:
        """Record resume points before the current shard, whose sha256 is not the one listed."""
        number = self._reader.shard
        spoilt = {t.name: (0.0, 0.0) for task in self._tasks if task.shard == number for t, _ in task.targets}
        with self._recording:
            self._is_closed = True
            for output, point in zip(self._job.outputs, self.tracker.resume_points(), strict=True):
                is_spoilt = point.position > (number, 0)
                output.record(ResumePoint(number, errors={**point.errors, **spoilt}) if is_spoilt else point)

    def _store(self, number: int, chunk: RowChunk, buffers: QuantizeBuffers, watch: _Stopwatch) -> Errors:
        """Write the chunk to one output: {tensor: error sums}, empty without `sums_errors`."""
        if self.tracker.is_done(number, chunk):
            return {}
        output = self._job.outputs[number]
        tensor, location = self._tasks[chunk.task].targets[number]
        data = buffers.stored(chunk, tensor.type, tensor.columns(output.plan.content.importance, chunk.first_row))
        errors = {tensor.name: buffers.errors(chunk, tensor.type, data)} if self._job.sums_errors else {}
        watch.lap("compute")
        offset = location.offset + chunk.first_row * tensor.type.row_bytes(chunk.source.n_per_row)
        output.write(location.part, offset, data.data)
        watch.lap("write")
        return errors


class _Stopwatch:
    """Seconds of a thread by activity."""

    def __init__(self) -> None:
        self.laps = Counter[str]()
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Add the time since the last lap to `name`."""
        now = time.perf_counter()
        self.laps[name] += now - self._last  # type: ignore[assignment]  # a Counter of seconds
        self._last = now


def _tasks(job: Job) -> list[_Task]:
    """Tensors in byte order: shard after shard, each from its beginning to its end."""
    shard_numbers = {id(shard): number for number, shard in enumerate(job.shards)}
    targets: dict[int, list[tuple[TensorSpec, TensorLocation]]] = {}
    sources: dict[int, SourceTensor] = {}
    for output in job.outputs:
        for tensor, location in zip(output.plan.content.tensors, output.plan.locations, strict=True):
            sources[id(tensor.source)] = tensor.source
            targets.setdefault(id(tensor.source), []).append((tensor, location))
    tasks = [_Task(shard_numbers[id(source.shard)], source, targets[key]) for key, source in sources.items()]
    return sorted(tasks, key=lambda task: (task.shard, task.source.offset))


def _bytes_before(task: _Task, point: ResumePoint) -> int:
    """Bytes of a tensor that lie before the resume point."""
    if task.shard != point.shard:
        return task.source.n_bytes if task.shard < point.shard else 0
    return min(max(point.offset - task.source.offset, 0), task.source.n_bytes)
