"""`Acceptance`: how often guesses of a given confidence turn out right. Learnt from those that were checked."""

from __future__ import annotations

import math

from .contract import Guess

_N_BUCKETS = 10
_PRIOR = 30.0  # checked guesses that a drafter's own word is worth
_HOPE = 0.4  # standard deviations that a guess may be better than it was seen to be: else bad luck is never corrected
_MOST = 1000.0  # checked guesses that count: what a text is like changes
_FADING = 0.7  # of what was seen, each time that `fade` is called


class Acceptance:
    """Right and wrong guesses, by who made them and how sure he was."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], list[float]] = {}  # → [checked, right, sum of confidences]
        self._noted: set[tuple[str, int]] = set()  # since the last `fade`

    def probability(self, guess: Guess) -> float:
        """How likely `guess` is to be right, if those before it are."""
        counts = self._seen.get(_bucket(guess))
        if counts is None:
            return guess.confidence
        checked, right, claimed = counts
        factor = (_PRIOR * guess.confidence + right) / (_PRIOR * guess.confidence + claimed)
        likely = min(guess.confidence * factor, 1.0)
        return min(likely + _HOPE * math.sqrt(likely * (1 - likely) / (_PRIOR + checked)), 1.0)

    def note(self, guess: Guess, is_right: bool) -> None:
        """Learn from a guess whose predecessors were right."""
        counts = self._seen.setdefault(_bucket(guess), [0.0, 0.0, 0.0])
        self._noted.add(_bucket(guess))
        if counts[0] >= _MOST:
            counts[:] = [count * (1 - 1 / _MOST) for count in counts]
        counts[0] += 1
        counts[1] += is_right
        counts[2] += guess.confidence

    def fade(self) -> None:
        """Believe what was not seen of late a little less, so that what was given up is tried again some time."""
        for bucket in self._seen.keys() - self._noted:
            self._seen[bucket] = [count * _FADING for count in self._seen[bucket]]
        self._noted.clear()


def _bucket(guess: Guess) -> tuple[str, int]:
    return guess.source, min(int(guess.confidence * _N_BUCKETS), _N_BUCKETS - 1)
