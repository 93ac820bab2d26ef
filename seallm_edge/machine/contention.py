"""`ContentionMeter`: CPU time that other programs take while a benchmark runs."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

# Share of other programs' load above which speeds say little.
BUSY_SHARE = 0.15


class ContentionMeter:
    """Share of all processors' time that was taken by neither this process nor its children, since it was made."""

    def __init__(self) -> None:
        self._ours = -_own_seconds()
        self._busy, self._all = _processors_seconds()

    def add(self, seconds: float) -> None:
        """Count `seconds` of a child process that has ended as ours."""
        self._ours += seconds

    def share(self, ours: Iterable[float] = ()) -> float:
        """Share from 0 to 1, with the seconds of child processes that run (`ours`) left out."""
        busy, everything = (
            now - then for now, then in zip(_processors_seconds(), (self._busy, self._all), strict=True)
        )
        others = busy - self._ours - _own_seconds() - sum(ours)
        return min(max(others / everything, 0.0), 1.0) if everything > 0 else 0.0


def _own_seconds() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


def _processors_seconds() -> tuple[float, float]:
    """(seconds that the processors were busy, with time stolen by other virtual machines; all their seconds)."""
    times = psutil.cpu_times()._asdict()
    everything = sum(seconds for name, seconds in times.items() if not name.startswith("guest"))  # it is in user's
    return everything - times["idle"] - times.get("iowait", 0.0), everything
