"""`LlamaEngine`: llama.cpp behind the `Engine` contract."""

from __future__ import annotations

import functools
import weakref
from contextlib import AbstractContextManager
from pathlib import Path

from ..native.interruptible import OnProgress, run_interruptibly
from ..plan import Plan
from .contract import ModelInfo, NoSpeculation, Request, Speculation, Vocabulary
from .kv.host_cache import HostKVCache
from .kv.snapshots import Snapshots
from .loaded import load
from .output_queue import OutputQueue
from .sequence import ReplySequence
from .stats import Counters, EngineStats
from .worker import Worker


class LlamaEngine:
    """Engine of one model, loaded as `plan` says, on a thread of its own; see `Engine`.

    Dropping it, and the end of the program, free everything as `close()` does. `snapshots` keep KV states on disk over
    a restart; `keep_alive` is in seconds, None keeps the weights loaded. Raises EngineError if llama.cpp fails;
    `on_progress` gets a share from 0 to 1 while the weights load, in this thread, and
    what it or a signal raises ends the load.
    """

    def __init__(
        self,
        path: Path,
        plan: Plan,
        info: ModelInfo,
        *,
        snapshots: Snapshots | None = None,
        keep_alive: float | None = None,
        speculation: Speculation | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._counters = Counters()
        host_cache = HostKVCache(plan.prefix_cache_bytes, snapshots)
        self.info = info
        self.plan = plan
        again = functools.partial(
            load,
            path,
            plan,
            host_cache,
            bytes_per_token=info.bytes_per_token,
            speculation=speculation or NoSpeculation(),
            counters=self._counters,
        )
        self._worker = run_interruptibly(
            lambda report: Worker(again(on_progress=report), again, keep_alive),
            on_progress=on_progress,
            discard=Worker.stop,
        )
        self._close = weakref.finalize(self, _close, self._worker, snapshots)

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
        return self._worker.stats() or EngineStats(**vars(self._counters))

    def close(self) -> None:
        """End running requests with an error, save snapshots, free all memory. Safe twice."""
        self._close()


def _look(worker: Worker, reference: weakref.ref[ReplySequence]) -> None:
    sequence = reference()
    if sequence and sequence.output.is_cancelled:
        worker.interrupt(sequence)
    else:
        worker.wake()


def _close(worker: Worker, snapshots: Snapshots | None) -> None:
    worker.stop()
    if snapshots:
        snapshots.close()
