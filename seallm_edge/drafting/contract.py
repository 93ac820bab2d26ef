"""`Drafter`: what guesses the next tokens of one reply. Knows nothing of models, nor of what a guess costs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Guess(NamedTuple):
    """A token that may come next, how likely it is to (0 to 1), and who says so: who errs is told apart by that."""

    token: int
    confidence: float
    source: str


class Vocabulary(Protocol):
    """What of a vocabulary counts here."""

    n_tokens: int

    @property
    def fingerprint(self) -> str:
        """The same for vocabularies whose tokens mean the same."""


class Drafter(ABC):
    """Guesses for one reply. Its tokens only grow from one call to the next, but for the guesses themselves."""

    @abstractmethod
    def next(self, tokens: Sequence[int], draft: Sequence[int]) -> Guess | None:
        """What may follow the text `tokens` and the guesses `draft` after it; None where nothing is likely."""

    def propose(self, tokens: Sequence[int], most: int, worth: float = 0.0) -> list[Guess]:
        """At most `most` tokens that may follow `tokens` one after the other; none from where on all of them together
        are less likely than `worth`.
        """
        guesses: list[Guess] = []
        draft: list[int] = []
        likely = 1.0
        while len(guesses) < most and (guess := self.next(tokens, draft)):
            likely *= guess.confidence
            if likely < worth:
                break
            guesses.append(guess)
            draft.append(guess.token)
        return guesses

    def learn(self, guesses: Sequence[Guess], gains: Sequence[float], rate: float) -> None:  # noqa: B027
        """Hear what came of the last proposal: each of the checked `guesses` brought so many tokens more than its row
        would have brought elsewhere. A second of work brings `rate` tokens. Most cost nothing and need not know.
        """

    def close(self) -> None:  # noqa: B027  most hold nothing
        """Free what it holds. Safe twice."""
