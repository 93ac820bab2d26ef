"""The weights' way: worker threads read a slice, widen it to f32, quantize it, write it at its place.

Memory is a few buffers a thread, whatever the model's size. Knows nothing of names, recipes or metadata.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from seallm_edge.errors import CheckpointError, ConversionError, EngineError
from seallm_edge.native import quantizer

from .plan import OutputTensor, Plan
from .writer import translated_errors

Progress = Callable[[int, int], None]  # source bytes done, source bytes in all

# All threads' buffers together: 4 bytes read, 4 as f32, 4 written for a weight at most.
_BUFFER_BYTES = 48 << 20
_LARGEST_SLICE = 1 << 19  # weights; more is not faster
_REPORT_SECONDS = 0.1
# Signed integers that have a number's bits, and the bits of an infinity.
_INFINITY = {"F32": ("i4", 0x7F800000), "F16": ("i2", 0x7C00), "BF16": ("i2", 0x7F80)}
# 2 to the 32: well past it, cubes overflow in the search for a scale, and ggml may write zeros without a word.
_HUGE = ("i4", 0x4F800000)


@dataclass(frozen=True)
class Slice:
    """Some rows of one tensor."""

    tensor: OutputTensor
    first_row: int
    n_rows: int

    @property
    def n_weights(self) -> int:
        """Weights in it."""
        return self.n_rows * self.tensor.n_per_row


def default_threads() -> int:
    """The logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def write_weights(plan: Plan, path: Path, out: Path, threads: int, progress: Progress | None = None) -> None:
    """Fill the file `path` (to be called `out`) with the plan's header and tensors.

    `progress` is called from this thread, ten times a second. Raises ConversionError, CheckpointError; an error or
    an interruption stops every worker first.
    """
    job = _Job(plan, path, out, threads)
    with path.open("r+b") as file:
        file.write(plan.header)
    with ThreadPoolExecutor(threads, thread_name_prefix="convert") as pool:
        try:
            _watch([pool.submit(job.work) for _ in range(threads)], job, progress)
        finally:
            job.stop.set()


def _watch(workers: list[Future[None]], job: _Job, progress: Progress | None) -> None:
    running = set(workers)
    while running:
        finished, running = wait(running, timeout=_REPORT_SECONDS, return_when=FIRST_EXCEPTION)
        for worker in finished:
            worker.result()
        if progress:
            progress(job.done_bytes, job.plan.source_bytes)


class _Job:
    """What the workers share: the slices still to do, the bytes done, and the sign to stop."""

    def __init__(self, plan: Plan, path: Path, out: Path, threads: int) -> None:
        self.plan = plan
        self.stop = threading.Event()
        self.done_bytes = 0
        self._path = path
        self._out = out
        self._lock = threading.Lock()
        self._most_weights = max(1, min(_LARGEST_SLICE, _BUFFER_BYTES // (12 * threads)))
        self._slices = _slices(plan, self._most_weights)

    def work(self) -> None:
        """Take slices until none is left. One thread runs it, with files and buffers of its own."""
        with ExitStack() as files:
            target = files.enter_context(FileIO(self._path, "r+"))
            sources: dict[Path, FileIO] = {}
            buffers = _Buffers()
            while (piece := self._next()) is not None:
                path = piece.tensor.source.path
                if path not in sources:
                    sources[path] = files.enter_context(_opened(path))
                data = buffers.converted(piece, sources[path])
                with translated_errors(self._out, self.plan.file_size):
                    _write_at(target, len(self.plan.header) + _offset(piece), data)
                self._tally(piece)

    def _next(self) -> Slice | None:
        with self._lock:
            return None if self.stop.is_set() else next(self._slices, None)

    def _tally(self, piece: Slice) -> None:
        with self._lock:
            self.done_bytes += _source_bytes(piece)


class _Buffers:
    """One thread's memory, used for one slice after the other."""

    def __init__(self) -> None:
        self._raw = np.empty(0, np.uint8)
        self._wide = np.empty(0, np.float32)
        self._out = np.empty(0, np.uint8)

    def converted(self, piece: Slice, file: FileIO) -> memoryview:
        """The slice's bytes in the GGUF. They stay until the next call."""
        source, kind = piece.tensor.source, piece.tensor.type
        self._raw = _grown(self._raw, _source_bytes(piece))
        raw = self._raw[: _source_bytes(piece)]
        per_row = source.n_bytes // piece.tensor.n_rows
        _read_at(file, source.offset + piece.first_row * per_row, raw.data, source.path)
        if _reaches(raw, *_INFINITY[source.dtype]):
            problem = f"{source.name} holds numbers that are not finite"
            raise CheckpointError(source.path, problem, "download or copy this file again")
        if source.dtype == kind.name:
            return raw.data
        return self._quantized(piece, self._widened(raw, source.dtype, piece.n_weights)).data

    def _widened(self, raw: quantizer.Bytes, dtype: str, n_weights: int) -> quantizer.Floats:
        if dtype == "F32":
            return raw.view(np.float32)
        self._wide = _grown(self._wide, n_weights)
        quantizer.widen(raw, dtype, self._wide[:n_weights])
        return self._wide[:n_weights]

    def _quantized(self, piece: Slice, rows: quantizer.Floats) -> quantizer.Bytes:
        kind = piece.tensor.type
        if kind.name == "F32":
            return rows.view(np.uint8)
        n_bytes = piece.n_rows * kind.row_bytes(piece.tensor.n_per_row)
        self._out = _grown(self._out, n_bytes)
        out = self._out[:n_bytes]
        try:
            if kind.block > 1 and _reaches(rows.view(np.uint8), *_HUGE):
                raise EngineError(f"weights too large for {kind.name}")
            quantizer.quantize(rows, kind, piece.tensor.n_per_row, out)
            if kind.block == 1 and _reaches(out, *_INFINITY[kind.name]):
                raise EngineError(f"weights too large for {kind.name}")
        except EngineError as error:
            problem = f"{piece.tensor.source.name} holds numbers that are too large for {kind.name}"
            raise ConversionError(problem, "choose --type BF16 or F32") from error
        return out


def _slices(plan: Plan, most_weights: int) -> Iterator[Slice]:
    for tensor in plan.tensors:
        step = max(1, most_weights // tensor.n_per_row)
        for first in range(0, tensor.n_rows, step):
            yield Slice(tensor, first, min(step, tensor.n_rows - first))


def _source_bytes(piece: Slice) -> int:
    return piece.n_rows * (piece.tensor.source.n_bytes // piece.tensor.n_rows)


def _offset(piece: Slice) -> int:
    return piece.tensor.offset + piece.first_row * piece.tensor.type.row_bytes(piece.tensor.n_per_row)


def _reaches(raw: quantizer.Bytes, integer: str, magnitude: int) -> bool:
    """Whether a number's bits, the sign aside, are `magnitude` or more (what is no number lies past infinity)."""
    # As signed integers positive numbers stand in order; as unsigned ones the negative ones stand above them all.
    signed = raw.view(integer)
    sign = 1 << (8 * signed.itemsize - 1)
    return bool(signed.max() >= magnitude or signed.view(f"u{signed.itemsize}").max() >= (sign | magnitude))


def _grown(buffer: Any, n: int) -> Any:
    return buffer if buffer.size >= n else np.empty(n, buffer.dtype)


def _opened(path: Path) -> FileIO:
    try:
        return FileIO(path, "r")
    except OSError as error:
        raise CheckpointError(path, f"cannot be read: {error.strerror}", "check the file's permissions") from error


def _read_at(file: FileIO, offset: int, target: memoryview, path: Path) -> None:
    file.seek(offset)
    done = 0
    while done < len(target):
        try:
            count = file.readinto(target[done:])
        except OSError as error:
            raise CheckpointError(path, f"cannot be read: {error.strerror}", "check the disk") from error
        if not count:
            raise CheckpointError(path, "has become shorter while it was read", "download or copy this file again")
        done += count


def _write_at(file: FileIO, offset: int, data: memoryview) -> None:
    file.seek(offset)
    done = 0
    while done < len(data):
        done += file.write(data[done:]) or 0
