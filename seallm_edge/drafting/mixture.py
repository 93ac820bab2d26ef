"""`Mixture`: several drafters as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .contract import Drafter, Guess

_SURE = 0.9


class Mixture(Drafter):
    """At each place the likeliest guess; where two drafters agree, they are surer than either. The cheap ones come
    first: where one of them is sure, the others are not asked. `likely` says how likely a guess is to be right, by what
    is known of who made it: one who claims too much must not drown the others.
    """

    def __init__(self, drafters: Sequence[Drafter], likely: Callable[[Guess], float]) -> None:
        self._drafters = list(drafters)
        self._likely = likely

    def next(self, tokens: Sequence[int], draft: Sequence[int]) -> Guess | None:
        """The likeliest guess."""
        guesses: list[Guess] = []
        best, best_likely = None, -1.0
        for drafter in self._drafters:
            if guess := drafter.next(tokens, draft):
                guesses.append(guess)
                likely = self._likely(guess)
                if likely > best_likely:
                    best, best_likely = guess, likely
                if likely >= _SURE:
                    break
        if best is None:
            return None
        agreeing = [guess for guess in guesses if guess.token == best.token]
        if len(agreeing) == 1:
            return best
        doubt = 1.0
        for guess in agreeing:
            doubt *= 1 - guess.confidence
        return Guess(best.token, 1 - doubt, "+".join(guess.source for guess in agreeing))

    def learn(self, guesses: Sequence[Guess], gains: Sequence[float], rate: float) -> None:
        """Tell all of them."""
        for drafter in self._drafters:
            drafter.learn(guesses, gains, rate)

    def close(self) -> None:
        """Close all of them."""
        for drafter in self._drafters:
            drafter.close()
