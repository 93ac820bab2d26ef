"""`Speculator`: speculative decoding as the engine uses it: asks the drafters, lets the policy choose, learns from
verification.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .acceptance import Acceptance
from .contract import Drafter, DrafterSource, DraftToken, Vocabulary
from .costs import StepCosts
from .policy import Policy

MAX_DRAFT_TOKENS = 8  # for a reply in a step
_MIN_PROBABILITY = 0.003  # a draft token below it is worth no row on any machine
_FADE_EVERY = 256  # steps
_FADING = 0.9  # of what a draft token was seen to take, then: what was too slow is tried again some time
_NEWEST = 0.1  # weight of a step in that


class DraftTarget(Protocol):
    """Sequence as drafting sees it: its tokens, and its drafter once it has one."""

    history: list[int]
    drafter: Drafter | None


@dataclass
class Draft:
    """Draft tokens of one sequence, and the drafter that is told what became of them."""

    draft_tokens: list[DraftToken] = field(default_factory=list)
    drafter: Drafter | None = None

    @property
    def tokens(self) -> list[int]:
        """Token ids in order."""
        return [draft_token.token for draft_token in self.draft_tokens]


class Speculator:
    """Speculation of one engine, used by its worker's thread. Outlives an unloaded model: it has learnt.

    `costs` are the step costs known so far; `on_detach` is called each time the model is unloaded, and may save them.
    """

    def __init__(
        self,
        source: DrafterSource,
        *,
        costs: StepCosts | None = None,
        on_detach: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._source = source
        self._on_detach = on_detach
        self._clock = clock
        self._draft_seconds = 0.0  # that the draft tokens of this step took
        self._seconds_per_draft_token = 0.0  # that one takes, of late
        self._batch_token_price = 0.0  # tokens that the time of a draft token's row brings elsewhere, in this step
        self._rate = 0.0  # tokens a second
        self.costs = costs or StepCosts()
        self.acceptance = Acceptance()
        self.policy = Policy(self.costs)
        self._n_steps = 0

    def attach(self, vocabulary: Vocabulary) -> None:
        """Prepare for a model that was loaded, by its vocabulary. Raises what loading a draft model raises."""
        self._source.attach(vocabulary)

    def detach(self) -> None:
        """Free what drafters share, such as a draft model. What was learnt stays."""
        self._source.detach()
        self._on_detach()

    def draft(self, replies: Sequence[DraftTarget], most: Sequence[int], n_batch_tokens: int, room: int) -> list[Draft]:
        """A draft for each of `replies`: at most `most[i]` tokens each, `room` in all, beside `n_batch_tokens` other
        batch tokens.
        """
        started = self._clock()
        fair = -(-room // len(replies))  # drafting more than can be verified costs time too
        drafts = [self._propose(reply, min(n, fair)) for reply, n in zip(replies, most, strict=True)]
        self._record_drafting(sum(map(len, drafts)), self._clock() - started)
        likely = sorted(
            ((p, -place, i) for i, draft in enumerate(drafts) for place, p in enumerate(self._likelihoods(draft))),
            reverse=True,
        )
        n_chosen = self.policy.choose([p for p, *_ in likely[:room]], len(replies), n_batch_tokens)
        self._record_prices(len(replies), n_batch_tokens, n_chosen)
        counts = [0] * len(drafts)
        for _, _, i in likely[:n_chosen]:
            counts[i] += 1
        return [Draft(draft[:n], reply.drafter) for draft, n, reply in zip(drafts, counts, replies, strict=True)]

    def record_step(self, n_batch_tokens: int, seconds: float) -> None:
        """Record the `seconds` of a decode-only step of `n_batch_tokens` batch tokens."""
        self.costs.note(n_batch_tokens, seconds)
        self._n_steps += 1
        if self._n_steps % _FADE_EVERY == 0:
            self.acceptance.fade()
            self._seconds_per_draft_token *= _FADING

    def record_tokens(self, n_replies: int, n_batch_tokens: int, n_tokens: int) -> None:
        """Record a decode-only step: `n_replies` sequences, `n_batch_tokens` batch tokens, `n_tokens`
        tokens accepted.
        """
        drafting = self._draft_seconds / self.costs.scale if self.costs.scale else 0.0
        self.policy.note(n_replies, n_tokens, self.costs.of(n_batch_tokens) + drafting)

    def record_verification(self, draft: Draft, n_accepted: int) -> None:
        """Record a verification: the first `n_accepted` draft tokens were accepted, the next one (if
        any) was rejected.
        """
        for i, draft_token in enumerate(draft.draft_tokens[: n_accepted + 1]):
            self.acceptance.note(draft_token, i < n_accepted)
        if draft.drafter and self._rate:
            gains = [(i < n_accepted) - self._batch_token_price for i in range(len(draft.draft_tokens))]
            draft.drafter.learn(draft.draft_tokens, gains, self._rate)

    def baseline_seconds(self, n_batch_tokens: int, n_draft_tokens: int, seconds: float) -> float:
        """Estimated seconds of the same step without its draft tokens: `n_batch_tokens` of them took `seconds`."""
        return seconds * self.costs.of(n_batch_tokens - n_draft_tokens) / self.costs.of(n_batch_tokens)

    def _propose(self, reply: DraftTarget, most: int) -> list[DraftToken]:
        price = self._seconds_per_draft_token / self.costs.scale * self.policy.rate(1) if self.costs.scale else 0.0
        if most <= 0 or price >= 1:
            return []
        reply.drafter = reply.drafter or self._source.new(self.acceptance.probability)
        return reply.drafter.propose(reply.history, min(most, MAX_DRAFT_TOKENS), max(_MIN_PROBABILITY, price))

    def _record_prices(self, n_replies: int, n_batch_tokens: int, n_draft_tokens: int) -> None:
        rate = self.policy.rate(n_replies)
        more = self.costs.of(n_batch_tokens + n_draft_tokens) - self.costs.of(n_batch_tokens)
        self._batch_token_price = rate * more / n_draft_tokens if n_draft_tokens else 0.0
        self._rate = rate / self.costs.scale if self.costs.scale else 0.0

    def _record_drafting(self, n_draft_tokens: int, seconds: float) -> None:
        self._draft_seconds = seconds
        if n_draft_tokens:
            before = self._seconds_per_draft_token or seconds / n_draft_tokens
            self._seconds_per_draft_token = before + _NEWEST * (seconds / n_draft_tokens - before)

    def _likelihoods(self, draft: Sequence[DraftToken]) -> list[float]:
        """Probability that each draft token is reached and accepted."""
        likely, chain = [], 1.0
        for draft_token in draft:
            chain *= self.acceptance.probability(draft_token)
            likely.append(chain)
        return likely
