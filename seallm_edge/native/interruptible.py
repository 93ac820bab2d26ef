"""Native calls that a signal can interrupt: they run on a thread of their own while the main thread waits.

Python handles signals between two instructions of the main thread, so also at the first one of a ctypes callback
(llama.cpp's log, the progress of a load), and ctypes prints and drops whatever a callback raises: Ctrl-C would be lost.
On another thread, callbacks never see a signal. Knows nothing of models.

ref: https://docs.python.org/3/library/signal.html#signals-and-threads
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")
OnProgress = Callable[[float], None]

GRACE_SECONDS = 2.0  # how long an interrupted call is waited for: a load ends within one tensor
THREAD_NAME = "seallm-native-call"
_LOOK_UP_SECONDS = 0.1  # Windows lets Ctrl-C through between two waits only


class CallInterrupted(Exception):
    """Raised inside a native call whose caller was interrupted: by the `report` that it was given."""


def run_interruptibly(
    work: Callable[[OnProgress], Result],
    *,
    on_progress: OnProgress | None = None,
    discard: Callable[[Result], object] = lambda _: None,
) -> Result:
    """What `work(report)` returns or raises. It runs on a thread of its own, if this is the main thread.

    `report` hands a share from 0 to 1 to `on_progress`, which is called in the caller's thread, and returns after it.
    An exception that a signal or `on_progress` raises here ends the wait: the next `report` raises CallInterrupted in
    `work`, and a result that comes nevertheless goes to `discard`. A call that does not end within 2 s ends later, on
    its thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return work(on_progress or _ignore)
    call = _Call(work, discard)
    try:
        call.start()
        return call.wait(on_progress or _ignore)
    except BaseException:
        call.abandon()
        raise


def is_any_running() -> bool:
    """Whether a call runs on, such as one that was interrupted inside a long system call."""
    return any(thread.name == THREAD_NAME for thread in threading.enumerate())


class _Call(Generic[Result]):
    """One call on its thread. Only C code is waited in (SimpleQueue), so a signal leaves nothing half done."""

    def __init__(self, work: Callable[[OnProgress], Result], discard: Callable[[Result], object]) -> None:
        self._work = work
        self._discard = discard
        self._shares: queue.SimpleQueue[float | None] = queue.SimpleQueue()  # None: the call is over
        self._seen: queue.SimpleQueue[None] = queue.SimpleQueue()  # an item a share that `on_progress` has had
        self._is_taken: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._is_abandoned = False
        self._results: list[Result] = []
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self, on_progress: OnProgress) -> Result:
        """The result. Raises what the call raises, and what signals and `on_progress` do."""
        while True:
            with contextlib.suppress(queue.Empty):
                share = self._shares.get(timeout=_LOOK_UP_SECONDS)
                if share is None:
                    break
                on_progress(share)
                self._seen.put(None)
        if self._errors:
            raise self._errors[0]
        self._is_taken.put(True)
        return self._results[0]

    def abandon(self) -> None:
        """Have the call end at its next report, wait for it a little, and leave its result to `discard`."""
        self._is_abandoned = True
        self._seen.put(None)
        self._is_taken.put(False)
        if self._thread.is_alive():
            self._thread.join(GRACE_SECONDS)

    def _run(self) -> None:
        try:
            result = self._work(self._report)
        except BaseException as error:  # noqa: BLE001  it is raised again, in the caller's thread
            self._errors.append(error)
            self._shares.put(None)
        else:
            self._results.append(result)
            self._shares.put(None)
            if not self._is_taken.get():
                self._discard(result)

    def _report(self, share: float) -> None:
        if self._is_abandoned:
            raise CallInterrupted
        self._shares.put(share)
        self._seen.get()
        if self._is_abandoned:
            raise CallInterrupted


def _ignore(_share: float) -> None:
    pass
