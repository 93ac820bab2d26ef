"""`Worker`: the one thread that owns native memory. Other threads submit sequences to it and read their output queues.

It holds no reference to its engine, so that a dropped engine can be collected while the thread still runs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Iterator

from ..errors import EngineError, SeaLLMError
from ..native.model import GpuFailed
from .contract import Vocabulary, closed_error
from .loaded import Loaded
from .loader import Loader
from .sequence import ReplySequence
from .stats import EngineStats

logger = logging.getLogger("seallm_edge.engine")

# Conversations are written to disk once they rest: seldom enough for a memory card, soon enough for a flat battery.
IDLE_SECONDS = 30.0
_ABORT_EVERY = 0.05  # seconds
_FORKED = EngineError(
    "this model was loaded by another process, which then forked",
    'load it in the process that uses it; for multiprocessing, set the start method "spawn"',
)


class Worker:
    """Serves requests over a model: `loaded` at first. With `keep_alive`, it is unloaded after so many idle seconds,
    and loaded again by its `loader` for the next request. Where a GPU fails, all requests go on without it.
    """

    def __init__(self, loaded: Loaded, loader: Loader, keep_alive: float | None = None) -> None:
        self._loaded: Loaded | None = loaded
        self._loader = loader
        self._keep_alive = keep_alive
        self._submitted: queue.SimpleQueue[ReplySequence | None] = queue.SimpleQueue()
        self._weights = threading.RLock()  # held by whoever uses the vocabulary, and to load or free it
        self._is_stopping = False
        self._serial = 0
        self._last_work = time.perf_counter()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._serve, name="seallm-engine", daemon=True)
        self._thread.start()

    def submit(self, sequence: ReplySequence) -> None:
        """Queue a sequence. Raises EngineError after `stop()`, or in a forked process."""
        self._require_open()
        self._submitted.put(sequence)

    def wake(self) -> None:
        """Look at the output queues again: one has space, or was cancelled. Safe in a destructor."""
        self._submitted.put(None)

    def interrupt(self, sequence: ReplySequence) -> None:
        """Abort the current step if it prefills the prompt of a cancelled sequence."""
        if loaded := self._loaded:
            loaded.abort(sequence)
        self.wake()

    @contextlib.contextmanager
    def vocabulary(self) -> Iterator[Vocabulary]:
        """The vocabulary, held in memory inside the `with` block. Raises EngineError after `stop()`, or in a forked
        process.
        """
        self._require_open()
        with self._weights:
            yield self._require_loaded().vocabulary

    def stop(self) -> None:
        """End all requests with an error, save snapshots, free all memory. Safe twice."""
        if os.getpid() != self._pid:
            return  # native memory is the other process's, and its thread did not come along
        self._is_stopping = True
        self._submitted.put(None)
        while threading.current_thread() is not self._thread and self._thread.is_alive():
            if loaded := self._loaded:
                loaded.abort()  # again and again: a step that is just beginning takes it back
            self._thread.join(_ABORT_EVERY)

    def stats(self) -> EngineStats | None:
        """Requests, cells and totals now; None while the model is unloaded."""
        loaded = self._loaded
        return loaded.stats() if loaded else None

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are in memory now."""
        return self._loaded is not None

    def _serve(self) -> None:
        try:
            while not self._is_stopping:
                self._take_submitted()
                if not self._is_stopping:
                    self._work()
        finally:
            self._is_stopping = True
            self._end()

    def _take_submitted(self) -> None:
        """Take every submitted sequence; blocks for one where there is nothing else to do."""
        try:
            sequence = self._submitted.get(timeout=self._patience())
            while True:
                if sequence is not None:
                    self._begin(sequence)
                sequence = self._submitted.get_nowait()
        except queue.Empty:
            pass

    def _patience(self) -> float | None:
        """Seconds until there is work without a new request; None for never."""
        loaded = self._loaded
        if loaded is None:
            return None
        if loaded.is_progressing:
            return 0
        waits = [IDLE_SECONDS] if loaded.has_unsaved else []
        if self._keep_alive is not None and not loaded.has_work:
            waits.append(max(self._last_work + self._keep_alive - time.perf_counter(), 0))
        return min(waits, default=None)

    def _begin(self, sequence: ReplySequence) -> None:
        self._serial += 1
        sequence.serial = self._serial
        try:
            loaded = self._require_loaded()
        except Exception as error:  # noqa: BLE001  whatever it is, the reader must hear of it
            sequence.fail(error)
            return
        _submit(loaded, sequence)

    def _work(self) -> None:
        """Run one step; if there is none, what waits for idle moments."""
        loaded = self._loaded
        if loaded is None:
            return
        try:
            if loaded.step():
                self._last_work = time.perf_counter()
            else:
                self._rest(loaded)
        except GpuFailed as error:
            self._go_on_without_gpu(loaded, error)
        except Exception as error:
            logger.exception("the engine failed")
            failure = EngineError(f"the engine failed: {error!r}", "this is a bug; please report it")
            loaded.fail(lambda: _again(failure))

    def _go_on_without_gpu(self, failed: Loaded, error: GpuFailed) -> None:
        """Load the model without the GPU, and hand it every request of the one whose GPU failed."""
        sequences = failed.take_all()
        try:
            with self._weights:
                self._loaded = None
                failed.close(keeps_states=False)
                self._loader.leave_gpu(error)
                loaded = self._require_loaded()
        except Exception as problem:  # noqa: BLE001  whatever it is, the readers must hear of it
            words, hint = (problem.message, problem.hint) if isinstance(problem, SeaLLMError) else (repr(problem), "")
            failure = EngineError(f"the GPU failed ({error.message}), and without it: {words}", hint)
            for sequence in sequences:
                sequence.fail(_again(failure))
            return
        for sequence in sequences:
            _submit(loaded, sequence)

    def _rest(self, loaded: Loaded) -> None:
        now = time.perf_counter()
        loaded.save_idle(now - IDLE_SECONDS)
        if self._keep_alive is not None and not loaded.has_work and now - self._last_work >= self._keep_alive:
            with self._weights:
                self._loaded = None
                loaded.close()

    def _require_loaded(self) -> Loaded:
        with self._weights:
            if self._loaded is None:
                if self._is_stopping:
                    raise closed_error()
                self._loaded = self._load()
                self._last_work = time.perf_counter()
                self.wake()
            return self._loaded

    def _load(self) -> Loaded:
        """The model, loaded; without a GPU that has failed beneath another model meanwhile."""
        try:
            return self._loader.load()
        except GpuFailed as error:
            self._loader.leave_gpu(error)
            return self._loader.load()

    def _end(self) -> None:
        """Fail every request that is left, and free the model."""
        try:
            with self._weights, contextlib.suppress(GpuFailed):  # which does not give its states any more
                loaded, self._loaded = self._loaded, None
                if loaded:
                    loaded.fail(closed_error)
                    loaded.close()
        finally:
            while not self._submitted.empty():
                if sequence := self._submitted.get_nowait():
                    sequence.fail(closed_error())

    def _require_open(self) -> None:
        if os.getpid() != self._pid:
            raise _again(_FORKED)
        if self._is_stopping:
            raise closed_error()


def _submit(loaded: Loaded, sequence: ReplySequence) -> None:
    """Submit a sequence, unless the context is smaller than it was when that was accepted."""
    if len(sequence.history) < loaded.n_ctx:
        loaded.submit(sequence)
    else:
        sequence.finish("length")


def _again(error: EngineError) -> EngineError:
    """A new exception of the same words: one that is raised twice gathers tracebacks."""
    return EngineError(error.message, error.hint)
