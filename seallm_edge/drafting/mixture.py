"""`Mixture`: several drafters as one."""

from __future__ import annotations

from collections.abc import Sequence

from .contract import Drafter, Guess

_SURE = 0.9


class Mixture(Drafter):
    """At each place the guess of whichever drafter is surest; where two agree, they are surer than either. The cheap
    ones come first: where one of them is sure, the others are not asked.
    """

    def __init__(self, drafters: Sequence[Drafter]) -> None:
        self._drafters = list(drafters)

    def next(self, tokens: Sequence[int], draft: Sequence[int]) -> Guess | None:
        """The surest guess."""
        guesses: list[Guess] = []
        for drafter in self._drafters:
            if guess := drafter.next(tokens, draft):
                guesses.append(guess)
                if guess.confidence >= _SURE:
                    break
        if not guesses:
            return None
        best = max(guesses, key=lambda guess: guess.confidence)
        agreeing = [guess for guess in guesses if guess.token == best.token]
        if len(agreeing) == 1:
            return best
        doubt = 1.0
        for guess in agreeing:
            doubt *= 1 - guess.confidence
        return Guess(best.token, 1 - doubt, "+".join(guess.source for guess in agreeing))

    def close(self) -> None:
        """Close all of them."""
        for drafter in self._drafters:
            drafter.close()
