"""How long to wait for a network, and when to give up; ending such waits from another thread.

Knows nothing of requests: what went wrong comes as a Trouble, in words.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import HubError

OnTrouble = Callable[[str], None]

# Windows does not let Ctrl-C into a long wait.
_MAX_SLEEP = 0.5


@dataclass(frozen=True)
class Patience:
    """Seconds without a byte that are a stall, failures in a row that are too many, seconds between two tries (twice
    as many after each), and the longest wait that a hub may ask for.
    """

    stall_seconds: float = 30.0
    retries: int = 8
    first_wait: float = 1.0
    longest_wait: float = 30.0
    longest_asked_wait: float = 300.0

    def wait_after(self, failures: int, asked: float | None) -> float:
        """Seconds until the next try: those that the hub asked for, else more with every failure."""
        if asked is not None:
            return min(max(asked, 0.0), self.longest_asked_wait)
        # Not all computers of a village that lost its network come back in the same second.
        return float(min(self.first_wait * 2 ** (failures - 1), self.longest_wait) * random.uniform(0.75, 1))


class Trouble(Exception):
    """What may pass: the `problem` in words, and the seconds that the hub asked to wait. For this package only."""

    def __init__(self, problem: str, asked_wait: float | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.asked_wait = asked_wait


class Stop:
    """Ends another thread's wait or read at once, but for looking up a name and the making of a connection."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._socket: socket.socket | None = None

    def set(self) -> None:
        """End them, now and from now on; safe twice."""
        self._event.set()
        self._shut_down()

    def is_set(self) -> bool:
        """Whether it was ended."""
        return self._event.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait; less if it is ended."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._event.wait(min(left, _MAX_SLEEP)):
            pass

    def watch(self, _event: str, info: Mapping[str, Any]) -> None:
        """Take note of the socket: the HTTP client calls this as it connects (its `trace` extension)."""
        if extra := getattr(info.get("return_value"), "get_extra_info", None):
            self._socket = extra("socket")
            if self.is_set():
                self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it is closed already
                # Past TLS, whose own shutdown would pull the session out from under the reading thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Retries:
    """Counts the failures in a row, waits after each, and gives up."""

    def __init__(self, patience: Patience, stop: Stop, on_trouble: OnTrouble | None, url: str) -> None:
        self._patience = patience
        self._stop = stop
        self._on_trouble = on_trouble
        self._url = url
        self._failures = 0

    def progressed(self) -> None:
        """Forget the failures: something came."""
        self._failures = 0

    def wait_after(self, trouble: Trouble, where: str = "") -> None:
        """Tell of the trouble and wait. Raises HubError when there was too much of it."""
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
