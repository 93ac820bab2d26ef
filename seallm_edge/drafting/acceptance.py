"""`Acceptance`: acceptance rates of draft tokens by source and confidence. Learnt from verification."""

from __future__ import annotations

import math

from .contract import DraftToken

_N_BUCKETS = 10
_PRIOR = 30.0  # weight of a drafter's own confidence, in verified draft tokens
# Standard deviations of optimism: a run of bad luck is corrected. ref: upper confidence bounds, Auer et al. 2002
_OPTIMISM = 0.4
_MAX_COUNT = 1000.0  # verified draft tokens that count: texts change
_FADING = 0.7  # of what was seen, each time that `fade` is called


class Acceptance:
    """Counts of accepted and rejected draft tokens by source and confidence bucket."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], list[float]] = {}  # → [checked, right, sum of confidences]
        self._noted: set[tuple[str, int]] = set()  # since the last `fade`

    def probability(self, draft_token: DraftToken) -> float:
        """Probability that `draft_token` is accepted, given that those before it are."""
        counts = self._seen.get(_bucket(draft_token))
        if counts is None:
            return draft_token.confidence
        checked, right, claimed = counts
        factor = (_PRIOR * draft_token.confidence + right) / (_PRIOR * draft_token.confidence + claimed)
        likely = min(draft_token.confidence * factor, 1.0)
        return min(likely + _OPTIMISM * math.sqrt(likely * (1 - likely) / (_PRIOR + checked)), 1.0)

    def note(self, draft_token: DraftToken, is_accepted: bool) -> None:
        """Record the verification of a draft token whose predecessors were accepted."""
        counts = self._seen.setdefault(_bucket(draft_token), [0.0, 0.0, 0.0])
        self._noted.add(_bucket(draft_token))
        if counts[0] >= _MAX_COUNT:
            counts[:] = [count * (1 - 1 / _MAX_COUNT) for count in counts]
        counts[0] += 1
        counts[1] += is_accepted
        counts[2] += draft_token.confidence

    def fade(self) -> None:
        """Discount counts that were not updated since the last call, so that abandoned sources are tried again."""
        for bucket in self._seen.keys() - self._noted:
            self._seen[bucket] = [count * _FADING for count in self._seen[bucket]]
        self._noted.clear()


def _bucket(draft_token: DraftToken) -> tuple[str, int]:
    return draft_token.source, min(int(draft_token.confidence * _N_BUCKETS), _N_BUCKETS - 1)
