"""`LlamaEngine`: llama.cpp behind the `Engine` contract."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from ..plan import Plan
from .contract import About, Request, Speculate, Vocabulary, no_speculation
from .kv.host_cache import Shelf
from .kv.snapshots import Snapshots
from .loaded import load
from .output_queue import Feed
from .sequence import Writer
from .worker import Worker


class LlamaEngine:
    """A model loaded as `plan` says, and the thread that runs it; see `Engine`.

    Dropping it, and the end of the program, free everything as `close()` does. `snapshots` are where KV states go when
    they rest, and come from after a restart; `keep_alive` is in seconds, None keeps the weights loaded. Raises
    EngineError if llama.cpp fails; `on_progress` gets a share from 0 to 1 while the weights load.
    """

    def __init__(
        self,
        path: Path,
        plan: Plan,
        about: About,
        *,
        snapshots: Snapshots | None = None,
        keep_alive: float | None = None,
        speculate: Speculate = no_speculation,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        shelf = Shelf(plan.prefix_cache_bytes, snapshots)
        self.about = about
        again = functools.partial(load, path, plan, shelf, bytes_per_token=about.bytes_per_token, speculate=speculate)
        self._worker = Worker(again(on_progress=on_progress), again, keep_alive)
        self._close = weakref.finalize(self, _close, self._worker, snapshots)

    def vocabulary(self) -> AbstractContextManager[Vocabulary]:
        """The vocabulary, for a short piece of work. Raises EngineError after `close()`."""
        return self._worker.vocabulary()

    def submit(self, request: Request) -> Writer:
        """Begin a reply; it comes through the feed of what is returned. Raises EngineError after `close()`."""
        worker = self._worker
        feed = Feed()
        writer = Writer(request, feed)
        feed.on_change = functools.partial(_look, worker, weakref.ref(writer))
        worker.submit(writer)
        return writer

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are in memory now; `keep_alive` may have let them go."""
        return self._worker.is_loaded

    def close(self) -> None:
        """End what is being written with an error, save what rests, free everything. Safe twice."""
        self._close()


def _look(worker: Worker, reference: weakref.ref[Writer]) -> None:
    writer = reference()
    if writer and writer.feed.is_cancelled:
        worker.interrupt(writer)
    else:
        worker.wake()


def _close(worker: Worker, snapshots: Snapshots | None) -> None:
    worker.stop()
    if snapshots:
        snapshots.close()
