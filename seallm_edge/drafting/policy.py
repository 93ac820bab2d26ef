"""`Policy`: how many draft tokens to verify. Pure arithmetic over step costs and acceptance rates.

A step of n batch tokens generates one token a sequence plus the accepted draft tokens. Long-run throughput counts, so a
draft token is worth its batch token where its probability exceeds the tokens that the added time would generate at the
current rate. ref: renewal reward, Ross, Introduction to Probability Models, section 7.4
"""

from __future__ import annotations

from collections.abc import Sequence

from .costs import StepCosts

_MEMORY = 0.98  # of tokens and costs from one step to the next: some 50 steps make the rate


class Policy:
    """Chooses draft lengths, and learns the throughput that comes of them."""

    def __init__(self, costs: StepCosts) -> None:
        self._costs = costs
        self._rates: dict[int, tuple[float, float]] = {}  # replies in a step → tokens, cost of late

    def choose(self, likely: Sequence[float], n_replies: int, n_batch_tokens: int) -> int:
        """Number of draft tokens to verify beside `n_batch_tokens` others, of which `n_replies` decode.

        `likely` are the probabilities of each to be reached and accepted, in falling order; the first ones are meant.
        """
        if not self._costs.is_known(n_batch_tokens):
            return 0  # what draft tokens cost is seen against a step without
        rate = self.rate(n_replies)
        alone = self._costs.of(n_batch_tokens)
        best, best_gain, tokens = 0, 0.0, 0.0
        for n, probability in enumerate(likely, 1):
            tokens += probability
            gain = tokens - rate * (self._costs.of(n_batch_tokens + n) - alone)
            if gain > best_gain:
                best, best_gain = n, gain
        # Fewer are nearly as good, and say what they cost.
        return next((n for n in range(1, best) if not self._costs.is_known(n_batch_tokens + n)), best)

    def rate(self, n_replies: int) -> float:
        """Tokens per cost of 1.0 with `n_replies` sequences: recent, and at least that of decoding without draft
        tokens.
        """
        plain = n_replies / self._costs.of(n_replies)
        tokens, cost = self._rates.get(n_replies, (0.0, 0.0))
        return max(plain, tokens / cost) if cost else plain

    def note(self, n_replies: int, n_tokens: int, cost: float) -> None:
        """Record a decode-only step of this `cost` that generated `n_tokens` for `n_replies` sequences."""
        tokens, before = self._rates.get(n_replies, (0.0, 0.0))
        self._rates[n_replies] = tokens * _MEMORY + n_tokens, before * _MEMORY + cost
