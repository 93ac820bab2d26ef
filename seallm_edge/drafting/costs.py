"""`StepCosts`: what a step of 1, 2, 3, 4 … rows costs here. Learnt from the steps themselves; knows no guesses."""

from __future__ import annotations

import statistics
from collections import deque

_REMEMBERED = 25  # steps of each number of rows, whose median counts: other programs make some steps slow
_TRUSTED = 3  # before so many the fastest counts, and of one alone not even that is believed
_KNOWN = 16  # tries, after which a number of rows is tried no more for its own sake
_JUST_NOW = 24  # steps
_MOST_OFF = 1.02  # that one step moves the scale by: so it follows the middle of all steps, and accidents do not count
# What more rows are taken to cost until they were tried, as a share of what fewer do: kernels that work four rows at a
# time do four sooner than three.
_UNTRIED = 0.9
_FORGOTTEN_AFTER = 1024  # steps without one of so many rows: it may be cheaper by now


class StepCosts:
    """Costs in units of a scale that follows the machine's speed: a deeper context and a warm processor make all steps
    slower alike, and only how they compare counts. One cost, the anchor, stays as it is once it is known: if all moved
    with the scale, those that are seen seldom would be left behind.
    """

    def __init__(self) -> None:
        self._scale = 0.0
        self._tries: dict[int, deque[float]] = {}
        self._costs: dict[int, float] = {}
        self._last: dict[int, int] = {}
        self._n_steps = 0
        self._anchor = 0  # rows

    @property
    def scale(self) -> float:
        """Seconds of a cost of 1.0; 0.0 before the first step."""
        return self._scale

    def note(self, n_rows: int, seconds: float) -> None:
        """Learn from a step."""
        if seconds <= 0:
            return
        if not self._scale:
            self._scale = seconds / self.of(n_rows)
        cost = seconds / self._scale
        if n_rows in self._costs:
            self._scale *= min(max(cost / self._costs[n_rows], 1 / _MOST_OFF), _MOST_OFF)
        self._n_steps += 1
        if not self.is_known(n_rows) or (n_rows != self._anchor and self._compares(n_rows)):
            self._note_cost(n_rows, cost)
        self._last[n_rows] = self._n_steps
        if self._n_steps % _FORGOTTEN_AFTER == 0:
            self._forget()

    def _compares(self, n_rows: int) -> bool:
        """Whether steps of other numbers of rows were seen just now: else all that a step says is how fast it is."""
        return any(last > self._n_steps - _JUST_NOW for n, last in self._last.items() if n != n_rows)

    def _note_cost(self, n_rows: int, cost: float) -> None:
        tries = self._tries.setdefault(n_rows, deque(maxlen=_REMEMBERED))
        tries.append(cost)
        if len(tries) > 1:
            self._costs[n_rows] = statistics.median(tries) if len(tries) >= _TRUSTED else min(tries)
        if not self._anchor and self.is_known(n_rows):
            self._anchor = n_rows

    def is_known(self, n_rows: int) -> bool:
        """Whether steps of so many rows were tried often enough, and lately."""
        return len(self._tries.get(n_rows, ())) >= _KNOWN

    def of(self, n_rows: int) -> float:
        """What a step of `n_rows` rows costs, as far as is known; rather too little where it is not."""
        if (cost := self._costs.get(n_rows)) is not None:
            return cost
        below = max((n for n in self._costs if n < n_rows), default=0)
        return self._costs[below] * _UNTRIED if below else 1.0

    def _forget(self) -> None:
        for n_rows in [n for n, last in self._last.items() if last <= self._n_steps - _FORGOTTEN_AFTER]:
            self._tries[n_rows].popleft()
            if not self._tries[n_rows]:
                del self._tries[n_rows], self._last[n_rows]
                self._costs.pop(n_rows, None)
        if self._anchor not in self._costs:
            known = [n for n in self._last if self.is_known(n)]
            self._anchor = max(known, key=lambda n: self._last[n], default=0)
