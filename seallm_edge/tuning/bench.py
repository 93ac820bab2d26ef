"""`SpeedBench`: throughput of a model under different settings, measured in child processes.

Child processes, because a process keeps the CPU variant it loaded, and a crash there is only a lost try. Each keeps its
weights loaded as long as memory suffices.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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
    """Model that a child loads: file, bytes of its weights and of all main memory it needs, GPUs for its layers."""

    path: Path
    weights_bytes: int
    needed_bytes: int
    gpus: tuple[str, ...] = ()


class _Kind(NamedTuple):
    """What a child is loaded with: others need another child."""

    variant: str
    repack: bool
    gpu_layers: int


class SpeedBench:
    """Bench of one model. A context manager: leaving it ends all children."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._children: OrderedDict[_Kind, SpeedProcess] = OrderedDict()
        self._slowest_token = 0.0
        self._background = ContentionMeter()

    def measure(self, settings: Settings, workload: Workload) -> Sample:
        """Throughput of one try. Raises EngineError if the child refuses, dies or hangs."""
        kind = _Kind(settings.variant, settings.repack, settings.gpu_layers)
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

    def _child(self, kind: _Kind) -> SpeedProcess:
        if kind not in self._children:
            self._make_room(kind)
            self._children[kind] = SpeedProcess(self._load.path, **kind._asdict(), gpus=self._load.gpus)
        self._children.move_to_end(kind)
        return self._children[kind]

    def _make_room(self, kind: _Kind) -> None:
        """End children, the longest unused first, until one more has room beside the others. None is beside another
        one where either has layers on a GPU.
        """
        while self._children:
            is_mapped = not kind.repack or any(not other.repack for other in self._children)
            is_on_gpu = kind.gpu_layers or any(other.gpu_layers for other in self._children)
            needed = self._load.needed_bytes - (0 if kind.repack else self._load.weights_bytes)
            # The system counts mapped pages as free, but whoever takes them makes all that map them wait for the disk.
            needed += self._load.weights_bytes if is_mapped else 0
            if not is_on_gpu and needed <= this_machine().memory_available:
                return
            self._end(next(iter(self._children)))

    def _end(self, kind: _Kind) -> None:
        if child := self._children.pop(kind, None):
            self._background.add(child.seconds())
            child.close()

    def _patience(self, n_tokens: int) -> float:
        slowest = self._slowest_token * _HANGS or self._load.weights_bytes / _MIN_DISK_SPEED
        return _PATIENCE + n_tokens * slowest
