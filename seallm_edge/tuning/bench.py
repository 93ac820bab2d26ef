"""`SpeedBench`: throughput of a model under different settings, measured in child processes.

Child processes, because a process keeps the CPU variant it loaded, and a crash there is only a lost try. Each keeps its
weights loaded as long as memory suffices.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from ..machine import this_machine
from ..machine.contention import ContentionMeter
from .bench_process import SpeedProcess
from .search import PROMPT_TOKENS, REPLY_TOKENS, Sample, Settings, Workload

_LOADING_PATIENCE = 300.0  # seconds
_PATIENCE = 60.0
_MIN_DISK_SPEED = 10_000_000  # bytes a second; a model larger than the free memory is read again for each token
_HANGS = 30  # times as slow as the slowest so far


@dataclass(frozen=True)
class Load:
    """Model that a child loads: file, layers on the GPUs of these names, bytes of its weights and of all main memory it
    needs.
    """

    path: Path
    gpu_layers: int
    weights_bytes: int
    needed_bytes: int
    gpus: tuple[str, ...] = ()


class SpeedBench:
    """Bench of one model. A context manager: leaving it ends all children."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._children: OrderedDict[tuple[str, bool], SpeedProcess] = OrderedDict()  # by variant and repacking
        self._slowest_token = 0.0
        self._background = ContentionMeter()

    def measure(self, settings: Settings, workload: Workload) -> Sample:
        """Throughput of one try. Raises EngineError if the child refuses, dies or hangs."""
        kind = settings.variant, settings.repack
        request = {"threads": settings.threads, "n_batch": settings.n_batch, "n_ctx": PROMPT_TOKENS + REPLY_TOKENS}
        n_tokens = sum(workload)
        try:
            child = self._child(kind)
            child.load(_LOADING_PATIENCE + 2 * self._load.weights_bytes / _MIN_DISK_SPEED)
            answer = child.ask({**request, **workload._asdict()}, self._patience(n_tokens))
        except BaseException:
            self._end(kind)
            raise
        self._slowest_token = max(self._slowest_token, sum(answer.values()) / n_tokens)
        return Sample(workload.read / answer["read_seconds"], workload.write / answer["write_seconds"])

    def restart_workers(self) -> None:
        """End all children; the next measurements load the model again."""
        for kind in list(self._children):
            self._end(kind)

    def background_load(self) -> float:
        """Share of all processors' time that other programs have taken since this bench was made."""
        return self._background.share(child.seconds() for child in self._children.values())

    def __enter__(self) -> SpeedBench:
        return self

    def __exit__(self, *_: object) -> None:
        self.restart_workers()

    def _child(self, kind: tuple[str, bool]) -> SpeedProcess:
        variant, repack = kind
        if kind not in self._children:
            self._make_room(repack)
            load = self._load
            self._children[kind] = SpeedProcess(
                load.path, variant, repack=repack, gpu_layers=load.gpu_layers, gpus=load.gpus
            )
        self._children.move_to_end(kind)
        return self._children[kind]

    def _make_room(self, repack: bool) -> None:
        """End children, the longest unused first, until one more has room beside the others."""
        while self._children:
            is_mapped = not repack or any(not kind[1] for kind in self._children)
            needed = self._load.needed_bytes - (0 if repack else self._load.weights_bytes)
            # The system counts mapped pages as free, but whoever takes them makes all that map them wait for the disk.
            needed += self._load.weights_bytes if is_mapped else 0
            if not self._load.gpu_layers and needed <= this_machine().memory_available:
                return
            self._end(next(iter(self._children)))

    def _end(self, kind: tuple[str, bool]) -> None:
        if child := self._children.pop(kind, None):
            self._background.add(child.seconds())
            child.close()

    def _patience(self, n_tokens: int) -> float:
        slowest = self._slowest_token * _HANGS or self._load.weights_bytes / _MIN_DISK_SPEED
        return _PATIENCE + n_tokens * slowest
