"""`StepCosts`: relative cost of a step by its number of batch tokens. Learnt from the steps themselves; knows no
drafts.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

_MAX_TRIES = 25  # steps of each number of rows, whose median counts: other programs make some steps slow
_TRUSTED = 3  # before so many the fastest counts, and of one alone not even that is believed
_KNOWN = 16  # tries, after which a number of rows is tried no more for its own sake
_JUST_NOW = 24  # steps
_MAX_SCALE_STEP = 1.02  # of one decode step: the scale follows the median of all steps, and outliers do not count
# What more rows are taken to cost until they were tried, as a share of what fewer do: kernels that work four rows at a
# time do four sooner than three.
_UNTRIED = 0.9
_FORGOTTEN_AFTER = 1024  # steps without one of so many rows: it may be cheaper by now
_REMEMBERED_TRIES = 5  # that a cost from an earlier time is worth
_SETTLING = 3  # first steps, without draft tokens, whose fastest makes the scale: some fetch weights from the disk


class Remembered(NamedTuple):
    """Saved cost relative to a step of one batch token; `age` is the number of steps since it was last seen."""

    cost: float
    age: int


class StepCosts:
    """Costs in units of a scale that follows the machine's speed: a deeper context or a warm processor slows all steps
    alike, and only ratios count.

    One batch size (the anchor) keeps a fixed relative cost, so that rarely seen sizes do not drift when the time scale
    is updated. `remembered` are costs that an earlier run saved with `to_remember`; they hold until steps contradict
    them, and do not move the scale until steps confirm them.
    """

    def __init__(self, remembered: Mapping[int, Remembered] | None = None) -> None:
        fresh = {n: each for n, each in (remembered or {}).items() if n == 1 or each.age < _FORGOTTEN_AFTER}
        self._scale = 0.0
        self._tries = {n: deque([each.cost] * _REMEMBERED_TRIES, _MAX_TRIES) for n, each in fresh.items()}
        self._costs = {n: each.cost for n, each in fresh.items()}
        self._last = {n: -each.age for n, each in fresh.items()}
        self._remembered = set(fresh)
        self._n_steps = self._n_kept = 0
        self._anchor = min(fresh, default=0)  # rows

    @property
    def scale(self) -> float:
        """Seconds of a cost of 1.0; 0.0 before the first step."""
        return self._scale

    def note(self, n_batch_tokens: int, seconds: float) -> None:
        """Record the `seconds` of a step of `n_batch_tokens` batch tokens."""
        if seconds <= 0:
            return
        if self._remembered and self._n_steps < _SETTLING:
            self._settle(n_batch_tokens, seconds)
        if not self._scale:
            self._scale = seconds / self.of(n_batch_tokens)
        cost = seconds / self._scale
        if n_batch_tokens in self._costs and (n_batch_tokens == self._anchor or n_batch_tokens not in self._remembered):
            self._scale *= min(max(cost / self._costs[n_batch_tokens], 1 / _MAX_SCALE_STEP), _MAX_SCALE_STEP)
        self._n_steps += 1
        if not self.is_known(n_batch_tokens) or (n_batch_tokens != self._anchor and self._compares(n_batch_tokens)):
            self._note_cost(n_batch_tokens, cost)
        self._last[n_batch_tokens] = self._n_steps
        if self._n_steps % _FORGOTTEN_AFTER == 0:
            self._forget()

    def _settle(self, n_batch_tokens: int, seconds: float) -> None:
        """Set the scale from remembered costs; discard them all if they do not cover steps of this size."""
        if n_batch_tokens in self._remembered:
            self._scale = min(self._scale or math.inf, seconds / self._costs[n_batch_tokens])
        else:
            for each in (self._tries, self._costs, self._last, self._remembered):
                each.clear()
            self._scale, self._n_steps, self._anchor = 0.0, 0, 0

    def _compares(self, n_batch_tokens: int) -> bool:
        """Whether other batch sizes were seen recently; otherwise a step tells the machine's speed and no ratio."""
        just_now = max(self._n_steps - _JUST_NOW, 0)
        return any(last > just_now for n, last in self._last.items() if n != n_batch_tokens)

    def _note_cost(self, n_batch_tokens: int, cost: float) -> None:
        tries = self._tries.setdefault(n_batch_tokens, deque(maxlen=_MAX_TRIES))
        tries.append(cost)
        if len(tries) > 1:
            self._costs[n_batch_tokens] = statistics.median(tries) if len(tries) >= _TRUSTED else min(tries)
        if len(tries) >= _KNOWN:
            self._remembered.discard(n_batch_tokens)
        if not self._anchor and self.is_known(n_batch_tokens):
            self._anchor = n_batch_tokens

    def is_known(self, n_batch_tokens: int) -> bool:
        """Whether batches of this size were measured often enough, and recently."""
        is_remembered = n_batch_tokens in self._remembered and self._n_steps >= _SETTLING
        return is_remembered or len(self._tries.get(n_batch_tokens, ())) >= _KNOWN

    def of(self, n_batch_tokens: int) -> float:
        """Relative cost of a step of `n_batch_tokens`, underestimated where it was not measured."""
        if (cost := self._costs.get(n_batch_tokens)) is not None:
            return cost
        below = max((n for n in self._costs if n < n_batch_tokens), default=0)
        return self._costs[below] * _UNTRIED if below else 1.0

    def to_remember(self) -> dict[int, Remembered]:
        """Costs to save; empty if nothing was learnt since the last call, or if the cost of a single batch token is
        unknown.
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
        for n_batch_tokens in [n for n, last in self._last.items() if last <= self._n_steps - _FORGOTTEN_AFTER]:
            self._tries[n_batch_tokens].popleft()
            if not self._tries[n_batch_tokens] or (
                n_batch_tokens in self._remembered and n_batch_tokens != self._anchor
            ):
                del self._tries[n_batch_tokens], self._last[n_batch_tokens]
                self._costs.pop(n_batch_tokens, None)
            self._remembered.discard(n_batch_tokens)
        if self._anchor not in self._costs:
            known = [n for n in self._last if self.is_known(n)]
            self._anchor = max(known, key=lambda n: self._last[n], default=0)
