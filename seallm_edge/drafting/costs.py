"""`StepCosts`: what a step of 1, 2, 3, 4 … rows costs here. Learnt from the steps themselves; knows no guesses."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

_MOST_TRIES = 25  # steps of each number of rows, whose median counts: other programs make some steps slow
_TRUSTED = 3  # before so many the fastest counts, and of one alone not even that is believed
_KNOWN = 16  # tries, after which a number of rows is tried no more for its own sake
_JUST_NOW = 24  # steps
_MOST_OFF = 1.02  # that one step moves the scale by: so it follows the middle of all steps, and accidents do not count
# What more rows are taken to cost until they were tried, as a share of what fewer do: kernels that work four rows at a
# time do four sooner than three.
_UNTRIED = 0.9
_FORGOTTEN_AFTER = 1024  # steps without one of so many rows: it may be cheaper by now
_REMEMBERED_TRIES = 5  # that a cost from an earlier time is worth
_SETTLING = 3  # first steps, without guesses, whose fastest makes the scale: some fetch weights from the disk


class Remembered(NamedTuple):
    """A cost that was learnt earlier, against that of a step of one row; `age` is how many steps there were since."""

    cost: float
    age: int


class StepCosts:
    """Costs in units of a scale that follows the machine's speed: a deeper context and a warm processor make all steps
    slower alike, and only how they compare counts. One cost, the anchor, stays as it is once it is known: if all moved
    with the scale, those that are seen seldom would be left behind.

    `remembered` is what an earlier one had in `to_remember`; it is believed until steps say otherwise, and moves no
    scale until they have said the same.
    """

    def __init__(self, remembered: Mapping[int, Remembered] | None = None) -> None:
        fresh = {n: each for n, each in (remembered or {}).items() if n == 1 or each.age < _FORGOTTEN_AFTER}
        self._scale = 0.0
        self._tries = {n: deque([each.cost] * _REMEMBERED_TRIES, _MOST_TRIES) for n, each in fresh.items()}
        self._costs = {n: each.cost for n, each in fresh.items()}
        self._last = {n: -each.age for n, each in fresh.items()}
        self._remembered = set(fresh)
        self._n_steps = self._n_kept = 0
        self._anchor = min(fresh, default=0)  # rows

    @property
    def scale(self) -> float:
        """Seconds of a cost of 1.0; 0.0 before the first step."""
        return self._scale

    def note(self, n_rows: int, seconds: float) -> None:
        """Learn from a step."""
        if seconds <= 0:
            return
        if self._remembered and self._n_steps < _SETTLING:
            self._settle(n_rows, seconds)
        if not self._scale:
            self._scale = seconds / self.of(n_rows)
        cost = seconds / self._scale
        if n_rows in self._costs and (n_rows == self._anchor or n_rows not in self._remembered):
            self._scale *= min(max(cost / self._costs[n_rows], 1 / _MOST_OFF), _MOST_OFF)
        self._n_steps += 1
        if not self.is_known(n_rows) or (n_rows != self._anchor and self._compares(n_rows)):
            self._note_cost(n_rows, cost)
        self._last[n_rows] = self._n_steps
        if self._n_steps % _FORGOTTEN_AFTER == 0:
            self._forget()

    def _settle(self, n_rows: int, seconds: float) -> None:
        """Let what is remembered make the scale; where it says nothing of such a step, all is learnt anew."""
        if n_rows in self._remembered:
            self._scale = min(self._scale or math.inf, seconds / self._costs[n_rows])
        else:
            for each in (self._tries, self._costs, self._last, self._remembered):
                each.clear()
            self._scale, self._n_steps, self._anchor = 0.0, 0, 0

    def _compares(self, n_rows: int) -> bool:
        """Whether steps of other numbers of rows were seen just now: else all that a step says is how fast it is."""
        just_now = max(self._n_steps - _JUST_NOW, 0)
        return any(last > just_now for n, last in self._last.items() if n != n_rows)

    def _note_cost(self, n_rows: int, cost: float) -> None:
        tries = self._tries.setdefault(n_rows, deque(maxlen=_MOST_TRIES))
        tries.append(cost)
        if len(tries) > 1:
            self._costs[n_rows] = statistics.median(tries) if len(tries) >= _TRUSTED else min(tries)
        if len(tries) >= _KNOWN:
            self._remembered.discard(n_rows)
        if not self._anchor and self.is_known(n_rows):
            self._anchor = n_rows

    def is_known(self, n_rows: int) -> bool:
        """Whether steps of so many rows were tried often enough, and lately."""
        is_remembered = n_rows in self._remembered and self._n_steps >= _SETTLING
        return is_remembered or len(self._tries.get(n_rows, ())) >= _KNOWN

    def of(self, n_rows: int) -> float:
        """What a step of `n_rows` rows costs, as far as is known; rather too little where it is not."""
        if (cost := self._costs.get(n_rows)) is not None:
            return cost
        below = max((n for n in self._costs if n < n_rows), default=0)
        return self._costs[below] * _UNTRIED if below else 1.0

    def to_remember(self) -> dict[int, Remembered]:
        """What is known, for another time; empty where nothing was learnt since the last call, or where it is not known
        what a step of one row costs.
        """
        if self._n_steps == self._n_kept or not self.is_known(1):
            return {}
        self._n_kept = self._n_steps
        unit = self._costs[1]
        return {
            n: Remembered(cost / unit, self._n_steps - self._last[n])
            for n, cost in sorted(self._costs.items())
            if self.is_known(n)
        }

    def _forget(self) -> None:
        for n_rows in [n for n, last in self._last.items() if last <= self._n_steps - _FORGOTTEN_AFTER]:
            self._tries[n_rows].popleft()
            if not self._tries[n_rows] or (n_rows in self._remembered and n_rows != self._anchor):
                del self._tries[n_rows], self._last[n_rows]
                self._costs.pop(n_rows, None)
            self._remembered.discard(n_rows)
        if self._anchor not in self._costs:
            known = [n for n in self._last if self.is_known(n)]
            self._anchor = max(known, key=lambda n: self._last[n], default=0)
