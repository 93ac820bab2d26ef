"""`Policy`: how many guesses are worth checking. Pure arithmetic over what was learnt of costs and of guesses.

A step of some rows brings the tokens of its replies and those of its guesses that are right. What counts in the long
run is tokens a second, so a guess is worth its row where the tokens it brings exceed those that the time of the row
would bring elsewhere: the rate so far. ref: renewal reward, Ross, Introduction to Probability Models, section 7.4
"""

from __future__ import annotations

from collections.abc import Sequence

from .costs import StepCosts

_MEMORY = 0.98  # of tokens and costs from one step to the next: some 50 steps make the rate


class Policy:
    """Chooses, and learns from what came of it."""

    def __init__(self, costs: StepCosts) -> None:
        self._costs = costs
        self._rates: dict[int, tuple[float, float]] = {}  # replies in a step → tokens, cost of late

    def choose(self, likely: Sequence[float], n_replies: int, n_rows: int) -> int:
        """How many guesses to check beside `n_rows` other rows, of which `n_replies` write: those first ones of
        `likely`, which are how likely each is to be reached and right, in falling order.
        """
        if not self._costs.is_known(n_rows):
            return 0  # what guesses cost is seen against a step without
        rate = self.rate(n_replies)
        alone = self._costs.of(n_rows)
        best, best_gain, tokens = 0, 0.0, 0.0
        for n, probability in enumerate(likely, 1):
            tokens += probability
            gain = tokens - rate * (self._costs.of(n_rows + n) - alone)
            if gain > best_gain:
                best, best_gain = n, gain
        # Fewer are nearly as good, and say what they cost.
        return next((n for n in range(1, best) if not self._costs.is_known(n_rows + n)), best)

    def rate(self, n_replies: int) -> float:
        """Tokens for a cost of 1.0, with so many replies: of late, and at least what comes without guesses."""
        plain = n_replies / self._costs.of(n_replies)
        tokens, cost = self._rates.get(n_replies, (0.0, 0.0))
        return max(plain, tokens / cost) if cost else plain

    def note(self, n_replies: int, n_tokens: int, cost: float) -> None:
        """Learn from a step in which `n_replies` replies, and no prompts, got `n_tokens` tokens."""
        tokens, before = self._rates.get(n_replies, (0.0, 0.0))
        self._rates[n_replies] = tokens * _MEMORY + n_tokens, before * _MEMORY + cost
