"""Timeouts and retries: how long to wait for a network, when to give up, and how another thread stops a wait.

Knows nothing of requests: a failure comes as a Trouble, in words.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..errors import HubError

OnTrouble = Callable[[str], None]

# seconds; on Windows Ctrl-C does not interrupt a wait
_MAX_SLEEP = 0.5
_MAX_DOUBLINGS = 30  # of a wait; more make numbers that no float holds


@dataclass(frozen=True)
class Patience:
    """Timeout without a byte (`stall_seconds`), retries in a row, seconds before the first retry (doubled for each
    further one, up to `longest_wait`), and the longest wait that a hub may ask for.
    """

    stall_seconds: float = 30.0
    retries: int = 8
    first_wait: float = 1.0
    longest_wait: float = 30.0
    longest_asked_wait: float = 300.0

    def at_most(self, retries: int) -> Patience:
        """This patience with at most `retries` in a row."""
        return replace(self, retries=min(self.retries, retries))

    def wait_after(self, failures: int, asked: float | None) -> float:
        """Seconds until the next retry: those that the hub asked for, else by exponential backoff."""
        if asked is not None:
            return min(max(asked, 0.0), self.longest_asked_wait)
        # jitter, so that many clients do not retry in the same second after an outage
        wait = min(self.first_wait * 2 ** min(failures - 1, _MAX_DOUBLINGS), self.longest_wait)
        return float(wait * random.uniform(0.75, 1))


class Trouble(Exception):
    """Temporary failure: the `problem` in words, and the seconds that the hub asked to wait. Internal to `hub`."""

    def __init__(self, problem: str, asked_wait: float | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.asked_wait = asked_wait


class Stop:
    """Stop signal: ends other threads' waits and reads, its own and its children's.

    A name lookup or a connection attempt goes on to its own timeout.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._socket: socket.socket | None = None
        self._children: weakref.WeakSet[Stop] = weakref.WeakSet()
        self._lock = threading.Lock()

    def child(self) -> Stop:
        """A signal of its own, which is set with this one too."""
        made = Stop()
        with self._lock:
            self._children.add(made)
        if self.is_set():
            made.set()
        return made

    def set(self) -> None:
        """Stop waits and reads, present and future. May be called twice."""
        self._event.set()
        self._shut_down()
        with self._lock:
            children = list(self._children)
        for child in children:
            child.set()

    def is_set(self) -> bool:
        """Whether `set` was called."""
        return self._event.is_set()

    def check(self, what: str, url: str = "") -> None:
        """Raise HubError if `set` was called."""
        if self.is_set():
            raise HubError(f"the reading of {what} was ended", url=url)

    def sleep(self, seconds: float) -> None:
        """Wait `seconds`, or until `set` is called."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._event.wait(min(left, _MAX_SLEEP)):
            pass

    def watch(self, opened: socket.socket) -> None:
        """Remember the socket that a thread is about to read, to shut it down."""
        self._socket = opened
        if self.is_set():
            self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it is closed already
                # Not SSLSocket.shutdown, which drops the TLS session that the reading thread still uses.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Retries:
    """Retry counter: waits after each failure in a row, and gives up after `patience.retries`."""

    def __init__(self, patience: Patience, stop: Stop, on_trouble: OnTrouble | None, url: str) -> None:
        self._patience = patience
        self._stop = stop
        self._on_trouble = on_trouble
        self._url = url
        self._failures = 0

    def progressed(self) -> None:
        """Reset the failure count: bytes arrived."""
        self._failures = 0

    def wait_after(self, trouble: Trouble, where: str = "") -> None:
        """Report the failure and wait. Raises HubError after too many failures in a row."""
        problem = trouble.problem + where
        if self._failures == self._patience.retries:
            tries = f", and {self._failures} more tries brought nothing" if self._failures else ""
            hint = "check the network, then run the same command again"
            raise HubError(problem + tries, hint, url=self._url) from trouble
        self._failures += 1
        seconds = self._patience.wait_after(self._failures, trouble.asked_wait)
        if self._on_trouble:
            self._on_trouble(f"{problem}; again in {seconds:.0f} s" if seconds >= 1 else f"{problem}; again now")
        self._stop.sleep(seconds)
