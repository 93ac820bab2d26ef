"""`Worker`: the one thread that owns native memory. Others leave orders with it, and read what it puts into feeds.

It knows nothing of whoever uses it, so that an engine that is dropped can be collected while its worker still runs.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import EngineError
from .contract import Vocabulary
from .loaded import Loaded
from .sequence import Writer

logger = logging.getLogger("seallm_edge.engine")

# Conversations are written to disk once they rest: seldom enough for a memory card, soon enough for a flat battery.
IDLE_SECONDS = 30.0
_ABORT_EVERY = 0.05  # seconds
_CLOSED = EngineError("this model is closed", "load it again with SeaLLM(…)")
_FORKED = EngineError(
    "this model was loaded by another process, which then forked",
    'load it in the process that uses it; for multiprocessing, set the start method "spawn"',
)


class Worker:
    """Runs replies over what `load()` gives. With `keep_alive`, it is unloaded after so many seconds without work, and
    loaded again when there is some.
    """

    def __init__(self, loaded: Loaded, load: Callable[[], Loaded], keep_alive: float | None = None) -> None:
        self._loaded: Loaded | None = loaded
        self._load = load
        self._keep_alive = keep_alive
        self._orders: queue.SimpleQueue[Writer | None] = queue.SimpleQueue()
        self._weights = threading.RLock()  # held by whoever uses the vocabulary, and to load or free it
        self._is_stopping = False
        self._serial = 0
        self._last_work = time.perf_counter()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._serve, name="seallm-engine", daemon=True)
        self._thread.start()

    def submit(self, writer: Writer) -> None:
        """Take an order. Raises EngineError after `stop()`, or in a forked process."""
        self._require_open()
        self._orders.put(writer)

    def wake(self) -> None:
        """Look at the feeds again: one has room, or was cancelled. Safe in a destructor."""
        self._orders.put(None)

    def interrupt(self, writer: Writer) -> None:
        """A writer was cancelled: a step that reads its prompt is not waited for."""
        loaded = self._loaded
        if loaded and writer in loaded.scheduler.reading:
            loaded.context.abort()
        self.wake()

    @contextmanager
    def vocabulary(self) -> Iterator[Vocabulary]:
        """The vocabulary, for a short piece of work. Raises EngineError after `stop()`, or in a forked process."""
        self._require_open()
        with self._weights:
            yield self._have_loaded().vocabulary

    def stop(self) -> None:
        """End all replies with an error, save what is to be saved, free everything. Safe twice."""
        if os.getpid() != self._pid:
            return  # native memory is the other process's, and its thread did not come along
        self._is_stopping = True
        self._orders.put(None)
        while threading.current_thread() is not self._thread and self._thread.is_alive():
            if loaded := self._loaded:
                loaded.context.abort()  # again and again: a step that is just beginning takes it back
            self._thread.join(_ABORT_EVERY)

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are in memory now."""
        return self._loaded is not None

    def _serve(self) -> None:
        try:
            while not self._is_stopping:
                self._take_orders()
                if not self._is_stopping:
                    self._work()
        finally:
            self._is_stopping = True
            self._end()

    def _take_orders(self) -> None:
        """Every order that is there; waits for one where there is nothing else to do."""
        try:
            order = self._orders.get(timeout=self._patience())
            while True:
                if order is not None:
                    self._begin(order)
                order = self._orders.get_nowait()
        except queue.Empty:
            pass

    def _patience(self) -> float | None:
        """Seconds until there is something to do without an order."""
        loaded = self._loaded
        if loaded is None:
            return None
        if loaded.is_progressing:
            return 0
        waits = [IDLE_SECONDS] if loaded.has_unsaved else []
        if self._keep_alive is not None and not loaded.scheduler.has_work:
            waits.append(max(self._last_work + self._keep_alive - time.perf_counter(), 0))
        return min(waits, default=None)

    def _begin(self, writer: Writer) -> None:
        self._serial += 1
        writer.serial = self._serial
        try:
            loaded = self._have_loaded()
        except Exception as error:  # noqa: BLE001  whatever it is, the reader must hear of it
            writer.fail(error)
            return
        loaded.scheduler.lineup.add(writer)
        loaded.is_progressing = True

    def _work(self) -> None:
        """One step; or, where none is to be done, what waits for quiet moments."""
        loaded = self._loaded
        if loaded is None:
            return
        try:
            loaded.is_progressing = loaded.scheduler.step()
            if loaded.is_progressing:
                self._last_work = time.perf_counter()
            else:
                self._rest(loaded)
        except Exception as error:
            logger.exception("the engine failed")
            failure = EngineError(f"the engine failed: {error!r}", "this is a bug; please report it")
            loaded.scheduler.fail(lambda: _again(failure))
            loaded.is_progressing = False

    def _rest(self, loaded: Loaded) -> None:
        now = time.perf_counter()
        loaded.save_idle(now - IDLE_SECONDS)
        if self._keep_alive is not None and not loaded.scheduler.has_work and now - self._last_work >= self._keep_alive:
            with self._weights:
                self._loaded = None
                loaded.close()

    def _have_loaded(self) -> Loaded:
        with self._weights:
            if self._loaded is None:
                if self._is_stopping:
                    raise _again(_CLOSED)
                self._loaded = self._load()
                self._last_work = time.perf_counter()
                self.wake()
            return self._loaded

    def _end(self) -> None:
        """Nothing comes after this: whoever still waits hears of it."""
        with self._weights:
            loaded, self._loaded = self._loaded, None
            if loaded:
                loaded.scheduler.fail(lambda: _again(_CLOSED))
                loaded.close()
        while not self._orders.empty():
            if writer := self._orders.get_nowait():
                writer.fail(_again(_CLOSED))

    def _require_open(self) -> None:
        if os.getpid() != self._pid:
            raise _again(_FORKED)
        if self._is_stopping:
            raise _again(_CLOSED)


def _again(error: EngineError) -> EngineError:
    """A new exception of the same words: one that is raised twice gathers tracebacks."""
    return EngineError(error.message, error.cure)
