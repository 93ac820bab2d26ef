"""Saving behind the engine's back: a thread that lives while there is something to write.

Two states are held at most, the one being written and one that waits, for each may be hundreds of megabytes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from .prefix import begins_with
from .snapshot_file import State, Tokens

logger = logging.getLogger("seallm_edge.engine")


class SnapshotQueue:
    """Hands what is put into it to `save`, one after the other. Any thread may call any method.

    The thread does not keep Python from ending: what it has not written then is lost, unless `close` was called.
    """

    def __init__(self, save: Callable[[Tokens, State], bool]) -> None:
        self._save = save
        self._lock = threading.Lock()
        self._waiting: tuple[Tokens, State] | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def put(self, tokens: Tokens, state: State) -> bool:
        """Whether it will be saved: not after `close`, nor while another conversation waits.

        One that waits and that these tokens go on from is replaced. `state` must not change any more.
        """
        with self._lock:
            if self._is_closed:
                return False
            if self._waiting and begins_with(self._waiting[0].data, tokens.data):
                return True
            if self._waiting and not begins_with(tokens.data, self._waiting[0].data):
                logger.info("a snapshot of %d tokens is dropped: the disk does not keep up", len(tokens))
                return False
            self._waiting = tokens, state
            if self._thread is None:
                self._start()
            return self._waiting is not None

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all is written, `timeout` seconds at most; whether it is."""
        with self._lock:
            thread = self._thread
        if thread:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def close(self) -> None:
        """Take no more, and wait until all is written. Safe twice."""
        with self._lock:
            self._is_closed = True
        self.flush()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="seallm-snapshots", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # Python is ending, or the system has no thread left
            logger.info("a snapshot is dropped: %s", error)
            self._thread = self._waiting = None

    def _run(self) -> None:
        try:
            while job := self._next():
                self._save(*job)
        except BaseException:
            with self._lock:
                self._thread = self._waiting = None
            raise

    def _next(self) -> tuple[Tokens, State] | None:
        with self._lock:
            job, self._waiting = self._waiting, None
            if job is None:
                self._thread = None
            return job
