"""Progress of a pull: bytes done, smoothed speed of this run, seconds left; as data for other processes too."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

FETCHING, CHECKING, WAITING = "fetching", "checking", "waiting"
_SMOOTHING_SECONDS = 8.0  # time constant: a speed from before that long counts 37%
_MIN_SECONDS = 1.0  # of this run, before a speed is stated
_SHARE_SECONDS = 0.5


@dataclass(frozen=True)
class Progress:
    """Progress of a pull at one moment.

    phase           "fetching", "checking" (all bytes are here), or "waiting" for another process that pulls the same
    done, total     bytes of the plan that are safe on the disk, those of earlier runs included, and all of them
    network         bytes that this run received over the network
    network_plan    bytes that it had to receive when it began
    speed           bytes per second of this run, smoothed; None in its first second
    seconds_left    None where the speed is None
    """

    phase: str
    done: int
    total: int
    network: int = 0
    network_plan: int = 0
    speed: float | None = None
    seconds_left: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


OnProgress = Callable[[Progress], None]


class SpeedMeter:
    """Speed meter: exponentially smoothed bytes per second since its making, so that a resume starts at zero."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self._at = clock()
        self._n_bytes = 0
        self._weighted_bytes = self._weighted_seconds = 0.0

    def add(self, n_bytes: int) -> float | None:
        """Speed after `n_bytes` in all have come; None before the first second is over."""
        now = self._clock()
        seconds = now - self._at
        fade = math.exp(-seconds / _SMOOTHING_SECONDS)
        self._weighted_bytes = self._weighted_bytes * fade + (n_bytes - self._n_bytes)
        self._weighted_seconds = self._weighted_seconds * fade + seconds
        self._at, self._n_bytes = now, n_bytes
        if now - self._began < _MIN_SECONDS or not self._weighted_seconds:
            return None
        return self._weighted_bytes / self._weighted_seconds


class Reporter:
    """Reporter of a pull: makes a Progress of bytes, gives it to `tell`, and shares it in the file `shared`."""

    def __init__(
        self,
        shared: Path,
        network: Callable[[], int],
        tell: OnProgress | None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """`network` gives the bytes received over the network since the process began."""
        self._shared = shared
        self._network = network
        self._tell = tell
        self._clock = clock or time.monotonic
        self._meter: SpeedMeter | None = None
        self._first_done = self._first_network = 0
        self._plan = 0
        self._shared_at = -math.inf
        self.last = Progress(FETCHING, 0, 0)

    def begin(self, done: int, total: int, network_plan: int) -> None:
        """Begin with `done` of `total` bytes from earlier runs, and `network_plan` bytes to receive."""
        self._meter = SpeedMeter(self._clock)
        self._first_done, self._first_network, self._plan = done, self._network(), network_plan
        self._report(Progress(FETCHING, done, total, 0, network_plan))

    def fetched(self, done: int, total: int) -> None:
        """Report `done` of `total` bytes as safe."""
        meter = self._meter or SpeedMeter(self._clock)
        speed = meter.add(max(done - self._first_done, 0))
        left = (total - done) / speed if speed else None
        self._report(Progress(FETCHING, done, total, self._received(), self._plan, speed, left))

    def checking(self, done: int = 0, total: int = 0) -> None:
        """Report the checks after the last byte, with the bytes checked."""
        self._report(Progress(CHECKING, done, total, self._received(), self._plan))

    def _received(self) -> int:
        return self._network() - self._first_network

    def _report(self, progress: Progress) -> None:
        self.last = progress
        if self._tell:
            self._tell(progress)
        now = self._clock()
        if now - self._shared_at >= _SHARE_SECONDS:
            self._shared_at = now
            share(self._shared, progress)


def share(path: Path, progress: Progress) -> None:
    """Write a progress for other processes; a failure (a full disk) is none of the pull."""
    scratch = path.with_name(f"{path.name}.new")
    try:
        scratch.write_text(json.dumps(progress.as_dict()), encoding="utf-8")
        scratch.replace(path)
    except OSError:
        return


def shared_progress(path: Path) -> Progress | None:
    """Progress that another process shares, as one that waits for it; None where there is none."""
    try:
        return replace(Progress(**json.loads(path.read_text(encoding="utf-8"))), phase=WAITING)
    except (OSError, ValueError, TypeError):
        return None
