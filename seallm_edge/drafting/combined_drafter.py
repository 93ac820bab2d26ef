"""`CombinedDrafter`: several drafters as one."""

from __future__ import annotations

from collections.abc import Sequence

from .contract import Drafter, DraftToken, Likelihood

_SURE = 0.9


class CombinedDrafter(Drafter):
    """Proposes the likeliest draft token of all drafters; where two agree, their confidences combine.

    Cheap drafters come first: once one is confident, the rest are not asked. `likelihood` gives the probability of
    acceptance by source, so that an overconfident drafter does not drown the others.
    """

    def __init__(self, drafters: Sequence[Drafter], likelihood: Likelihood) -> None:
        self._drafters = list(drafters)
        self._likelihood = likelihood

    def next(self, tokens: Sequence[int], draft: Sequence[int]) -> DraftToken | None:
        """The likeliest draft token."""
        draft_tokens: list[DraftToken] = []
        best, best_likely = None, -1.0
        for drafter in self._drafters:
            if draft_token := drafter.next(tokens, draft):
                draft_tokens.append(draft_token)
                likely = self._likelihood(draft_token)
                if likely > best_likely:
                    best, best_likely = draft_token, likely
                if likely >= _SURE:
                    break
        if best is None:
            return None
        agreeing = [draft_token for draft_token in draft_tokens if draft_token.token == best.token]
        if len(agreeing) == 1:
            return best
        doubt = 1.0
        for draft_token in agreeing:
            doubt *= 1 - draft_token.confidence
        return DraftToken(best.token, 1 - doubt, "+".join(draft_token.source for draft_token in agreeing))

    def learn(self, draft_tokens: Sequence[DraftToken], gains: Sequence[float], rate: float) -> None:
        """Pass the feedback to every drafter."""
        for drafter in self._drafters:
            drafter.learn(draft_tokens, gains, rate)

    def close(self) -> None:
        """Close every drafter."""
        for drafter in self._drafters:
            drafter.close()
