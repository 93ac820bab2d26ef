"""`Speculator`: what drafting is to the engine: asks the drafters, lets the policy choose, learns from what came."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .acceptance import Acceptance
from .contract import Drafter, Guess
from .costs import StepCosts
from .policy import Policy

MOST_GUESSES = 8  # for a reply in a step
_LEAST_LIKELY = 0.003  # a guess below it is worth no row on any machine
_FADE_EVERY = 256  # steps
_FADING = 0.9  # of what a guess was seen to take, then: what was too slow is tried again some time
_NEWEST = 0.1  # weight of a step in that


class Drafted(Protocol):
    """A reply under way, as far as drafting sees it."""

    history: list[int]
    drafter: Drafter | None


@dataclass
class Draft:
    """The guesses for a reply: tokens in order, and what is learnt of them."""

    guesses: list[Guess] = field(default_factory=list)
    drafter: Drafter | None = None

    @property
    def tokens(self) -> list[int]:
        """The tokens."""
        return [guess.token for guess in self.guesses]


class Speculator:
    """Belongs to the engine's worker, and outlives the loading and unloading of a model: it has learnt something."""

    def __init__(
        self,
        make_drafter: Callable[[], Drafter],
        on_close: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.perf_counter,
        costs: StepCosts | None = None,
    ) -> None:
        self._make_drafter = make_drafter
        self._on_close = on_close
        self._clock = clock
        self._draft_seconds = 0.0  # that the guesses of this step took
        self._guess_seconds = 0.0  # that one takes, of late
        self._row_price = 0.0  # tokens that the time of a guess's row brings elsewhere, in this step
        self._rate = 0.0  # tokens a second
        self.costs = costs or StepCosts()
        self.acceptance = Acceptance()
        self.policy = Policy(self.costs)
        self._n_steps = 0

    def draft(self, replies: Sequence[Drafted], most: Sequence[int], n_rows: int, room: int) -> list[Draft]:
        """Guesses for each of `replies`, at most `most` of them, and `room` in all, beside `n_rows` rows without."""
        started = self._clock()
        fair = -(-room // len(replies))  # guessing more than can be checked takes time too
        drafts = [self._propose(reply, min(n, fair)) for reply, n in zip(replies, most, strict=True)]
        self._note_drafted(sum(map(len, drafts)), self._clock() - started)
        likely = sorted(
            ((p, -place, i) for i, draft in enumerate(drafts) for place, p in enumerate(self._likelihoods(draft))),
            reverse=True,
        )
        n_chosen = self.policy.choose([p for p, *_ in likely[:room]], len(replies), n_rows)
        self._note_prices(len(replies), n_rows, n_chosen)
        counts = [0] * len(drafts)
        for _, _, i in likely[:n_chosen]:
            counts[i] += 1
        return [Draft(draft[:n], reply.drafter) for draft, n, reply in zip(drafts, counts, replies, strict=True)]

    def note_step(self, n_rows: int, seconds: float) -> None:
        """A step of `n_rows` rows took so long."""
        self.costs.note(n_rows, seconds)
        self._n_steps += 1
        if self._n_steps % _FADE_EVERY == 0:
            self.acceptance.fade()
            self._guess_seconds *= _FADING

    def note_tokens(self, n_replies: int, n_rows: int, n_tokens: int) -> None:
        """The step's `n_replies` replies, and it had no prompts, got `n_tokens` tokens of `n_rows` rows."""
        drafting = self._draft_seconds / self.costs.scale if self.costs.scale else 0.0
        self.policy.note(n_replies, n_tokens, self.costs.of(n_rows) + drafting)

    def note_checked(self, draft: Draft, n_right: int) -> None:
        """The first `n_right` guesses were right; the one after them, if it was checked, was not."""
        for i, guess in enumerate(draft.guesses[: n_right + 1]):
            self.acceptance.note(guess, i < n_right)
        if draft.drafter and self._rate:
            gains = [(i < n_right) - self._row_price for i in range(len(draft.guesses))]
            draft.drafter.learn(draft.guesses, gains, self._rate)

    def plain_seconds(self, n_rows: int, n_guesses: int, seconds: float) -> float:
        """What a step of `n_rows` rows, which took `seconds` and the guessing, would have taken without guesses."""
        return seconds * self.costs.of(n_rows - n_guesses) / self.costs.of(n_rows)

    def close(self) -> None:
        """Free what the drafters share, such as a model; what was learnt stays, and `on_close` may write it down."""
        self._on_close()

    def _propose(self, reply: Drafted, most: int) -> list[Guess]:
        price = self._guess_seconds / self.costs.scale * self.policy.rate(1) if self.costs.scale else 0.0
        if most <= 0 or price >= 1:
            return []
        reply.drafter = reply.drafter or self._make_drafter()
        return reply.drafter.propose(reply.history, min(most, MOST_GUESSES), max(_LEAST_LIKELY, price))

    def _note_prices(self, n_replies: int, n_rows: int, n_guesses: int) -> None:
        rate = self.policy.rate(n_replies)
        more = self.costs.of(n_rows + n_guesses) - self.costs.of(n_rows)
        self._row_price = rate * more / n_guesses if n_guesses else 0.0
        self._rate = rate / self.costs.scale if self.costs.scale else 0.0

    def _note_drafted(self, n_guesses: int, seconds: float) -> None:
        self._draft_seconds = seconds
        if n_guesses:
            before = self._guess_seconds or seconds / n_guesses
            self._guess_seconds = before + _NEWEST * (seconds / n_guesses - before)

    def _likelihoods(self, draft: Sequence[Guess]) -> list[float]:
        """How likely each guess is to be reached and right."""
        likely, chain = [], 1.0
        for guess in draft:
            chain *= self.acceptance.probability(guess)
            likely.append(chain)
        return likely
