"""`Drafter`: proposes draft tokens for one sequence. Knows no model, and not what a draft token costs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol


class DraftToken(NamedTuple):
    """Draft token, its probability of being accepted (0 to 1), and its source: acceptance is tracked by source."""

    token: int
    confidence: float
    source: str


Likelihood = Callable[[DraftToken], float]  # probability of acceptance, as its source was accepted so far


class Vocabulary(Protocol):
    """Vocabulary facts that drafting needs."""

    n_tokens: int

    @property
    def fingerprint(self) -> str:
        """Equal for vocabularies whose token ids mean the same."""


class Drafter(ABC):
    """Drafter of one sequence, whose tokens only grow from one call to the next."""

    @abstractmethod
    def next(self, tokens: Sequence[int], draft: Sequence[int]) -> DraftToken | None:
        """The likeliest token after the text `tokens` and the draft `draft`; None where none is likely."""

    def propose(self, tokens: Sequence[int], most: int, worth: float = 0.0) -> list[DraftToken]:
        """At most `most` draft tokens after `tokens`; ends before the one at which their joint probability falls below
        `worth`.
        """
        draft_tokens: list[DraftToken] = []
        draft: list[int] = []
        likely = 1.0
        while len(draft_tokens) < most and (draft_token := self.next(tokens, draft)):
            likely *= draft_token.confidence
            if likely < worth:
                break
            draft_tokens.append(draft_token)
            draft.append(draft_token.token)
        return draft_tokens

    def learn(self, draft_tokens: Sequence[DraftToken], gains: Sequence[float], rate: float) -> None:  # noqa: B027
        """Feedback for the last draft: `gains[i]` is the net number of tokens gained by verifying draft token i; `rate`
        is throughput in tokens/s. Drafters that cost nothing may ignore it.
        """

    def close(self) -> None:  # noqa: B027  most hold nothing
        """Free what it holds. Safe twice."""


class DrafterSource(Protocol):
    """Source of drafters for the sequences of one engine, while its model is loaded."""

    def attach(self, vocabulary: Vocabulary) -> None:
        """Prepare for a model that was loaded, by its vocabulary. Raises what loading a draft model raises."""

    def new(self, likelihood: Likelihood) -> Drafter:
        """A drafter for one sequence, which weighs its drafters by `likelihood`."""

    def detach(self) -> None:
        """Free what drafters share, such as a draft model. Safe twice."""
