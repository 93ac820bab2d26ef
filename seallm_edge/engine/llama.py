"""`LlamaEngine`: llama.cpp behind the `Engine` contract."""

from __future__ import annotations

import functools
import weakref
from contextlib import AbstractContextManager

from ..native.interruptible import OnProgress, run_interruptibly
from ..plan import Plan
from .contract import ModelInfo, Request, Vocabulary
from .loader import Loader
from .output_queue import OutputQueue
from .sequence import ReplySequence
from .stats import EngineStats
from .worker import Worker


class LlamaEngine:
    """Engine of one model, loaded by its `loader` on a thread of its own; see `Engine`.

    Dropping it, and the end of the program, free everything as `close()` does. `keep_alive` is in seconds, None keeps
    the weights loaded. Raises EngineError if llama.cpp fails; `on_progress` gets a share from 0 to 1 while the weights
    load, in this thread, and what it or a signal raises ends the load.
    """

    def __init__(
        self, loader: Loader, *, keep_alive: float | None = None, on_progress: OnProgress | None = None
    ) -> None:
        self._loader = loader
        self._worker = run_interruptibly(
            lambda report: Worker(loader.load(report), loader, keep_alive),
            on_progress=on_progress,
            discard=Worker.stop,
        )
        self._close = weakref.finalize(self, _close, self._worker, loader)

    @property
    def plan(self) -> Plan:
        """The plan that the model is loaded by; another one, without a GPU, after that has failed."""
        return self._loader.setup.plan

    @property
    def info(self) -> ModelInfo:
        """Facts of the model, as it is loaded."""
        return self._loader.setup.info

    def vocabulary(self) -> AbstractContextManager[Vocabulary]:
        """The vocabulary, held in memory inside the `with` block. Raises EngineError after `close()`."""
        return self._worker.vocabulary()

    def submit(self, request: Request) -> ReplySequence:
        """Queue a request; its text arrives in the returned handle's output queue. Raises EngineError
        after `close()`.
        """
        worker = self._worker
        output = OutputQueue()
        sequence = ReplySequence(request, output)
        output.on_change = functools.partial(_look, worker, weakref.ref(sequence))
        worker.submit(sequence)
        return sequence

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are in memory now; `keep_alive` may have unloaded them."""
        return self._worker.is_loaded

    def stats(self) -> EngineStats:
        """Requests, cells and totals now."""
        return self._worker.stats() or EngineStats(**vars(self._loader.counters))

    def close(self) -> None:
        """End running requests with an error, save snapshots, free all memory. Safe twice."""
        self._close()


def _look(worker: Worker, reference: weakref.ref[ReplySequence]) -> None:
    sequence = reference()
    if sequence and sequence.output.is_cancelled:
        worker.interrupt(sequence)
    else:
        worker.wake()


def _close(worker: Worker, loader: Loader) -> None:
    worker.stop()
    loader.close()
