"""Draft length policy on simulated machines, whose best fixed draft length is known."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seallm_edge.drafting import Drafter, DraftToken, Remembered, Speculator, StepCosts
from seallm_edge.drafting.policy import Policy
from seallm_edge.drafting.speculator import MAX_DRAFT_TOKENS
from support.drafter_sources import Made

WARM_UP, MEASURED = 400, 3000  # steps
CURVES = {  # a step of 1, 2, 3 … rows, in seconds
    "as measured, Q8_0": [0.068, 0.073, 0.084, 0.100, 0.112, 0.125, 0.135, 0.150, 0.199],
    "as measured, Q4_K_M": [0.037, 0.046, 0.056, 0.066, 0.073, 0.080, 0.088, 0.097, 0.130],
    "four cheaper than three": [1.0, 1.65, 2.02, 1.87, 2.46, 2.8, 3.1, 3.4, 3.8],
    "bound by memory": [1 + 0.03 * n for n in range(9)],
    "bound by arithmetic": [1.0 + n for n in range(9)],
    "a cliff": [1, 1.1, 1.2, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5],
}


class Reply:
    def __init__(self) -> None:
        self.history = [0]
        self.drafter: Drafter | None = None


class Sure(Drafter):
    """Every draft token is made with the same confidence."""

    def __init__(self, confidence: float) -> None:
        self._confidence = confidence

    def next(self, tokens: object, draft: object) -> DraftToken:
        return DraftToken(1, self._confidence, "sure")


def rate_of(
    curve: list[float],
    right: float,
    claimed: float,
    noise: float,
    seed: int,
    *,
    costs: StepCosts | None = None,
    steps: tuple[int, int] = (WARM_UP, WARM_UP + MEASURED),
) -> float:
    """Tokens a second that the policy reaches in these steps, where a draft token is right as often as `right`."""
    dice = random.Random(seed)
    speculator, reply = Speculator(Made(lambda: Sure(claimed)), clock=lambda: 0.0, costs=costs), Reply()
    tokens = seconds = 0.0
    for step in range(steps[1]):
        draft = speculator.draft([reply], [MAX_DRAFT_TOKENS], 1, MAX_DRAFT_TOKENS)[0]
        n_batch_tokens = 1 + len(draft.draft_tokens)
        n_accepted = 0
        while n_accepted < len(draft.draft_tokens) and dice.random() < right:
            n_accepted += 1
        took = curve[n_batch_tokens - 1] * dice.lognormvariate(0, noise) * (3 if noise and dice.random() < 0.02 else 1)
        speculator.record_step(n_batch_tokens, took)
        speculator.record_verification(draft, n_accepted)
        speculator.record_tokens(1, n_batch_tokens, n_accepted + 1)
        if step >= steps[0]:
            tokens += sum(right**n for n in range(n_batch_tokens))  # on average: luck is not what is tested
            seconds += curve[n_batch_tokens - 1]
    return tokens / seconds


def best_fixed(curve: list[float], right: float) -> float:
    return max(sum(right**i for i in range(n)) / curve[n - 1] for n in range(1, MAX_DRAFT_TOKENS + 2))


@pytest.mark.slow
@pytest.mark.parametrize("right", [0.05, 0.3, 0.6, 0.8, 0.95])
@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_it_is_nearly_as_good_as_the_best_fixed_choice(curve: list[float], right: float) -> None:
    rates = [rate_of(curve, right, right, noise=0.05, seed=seed) for seed in range(3)]
    assert sum(rates) / len(rates) >= 0.97 * best_fixed(curve, right)


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
@pytest.mark.parametrize(("right", "claimed"), [(0.2, 0.9), (0.9, 0.5)])
def test_it_finds_out_that_guesses_are_worse_or_better_than_their_makers_say(
    curve: list[float], right: float, claimed: float
) -> None:
    assert rate_of(curve, right, claimed, noise=0.0, seed=1) >= 0.97 * best_fixed(curve, right)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.floats(0.02, 1.2), min_size=9, max_size=9),
    right=st.floats(0.02, 0.98),
)
def test_on_any_machine_it_is_nearly_as_good_as_the_best_fixed_choice(steps: list[float], right: float) -> None:
    curve = [sum(steps[: n + 1]) + 1 for n in range(9)]
    assert rate_of(curve, right, right, noise=0.0, seed=2) >= 0.97 * best_fixed(curve, right)


def remembered_of(curve: list[float], age: int = 0) -> StepCosts:
    """What was learnt at another time, on a machine of that curve."""
    return StepCosts({n: Remembered(seconds / curve[0], age) for n, seconds in enumerate(curve, 1)})


@pytest.mark.parametrize("right", [0.3, 0.6, 0.8, 0.95])
@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_what_is_remembered_makes_the_first_reply_fast(curve: list[float], right: float) -> None:
    rates = [
        rate_of(curve, right, right, noise=0.05, seed=seed, costs=remembered_of(curve), steps=(0, 100))
        for seed in range(8)
    ]
    assert sum(rates) / len(rates) >= 0.95 * best_fixed(curve, right)


@pytest.mark.slow
@pytest.mark.parametrize("believed", CURVES.values(), ids=CURVES)
@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_what_is_remembered_of_another_machine_is_unlearnt(curve: list[float], believed: list[float]) -> None:
    without = 1 / curve[0]
    for steps, floor in (((0, 300), 0.8 * without), ((2_500, 5_500), 0.97 * best_fixed(curve, 0.8))):
        costs = remembered_of(believed)
        assert rate_of(curve, 0.8, 0.8, noise=0.0, seed=4, costs=costs, steps=steps) >= floor


def test_a_slow_first_step_does_not_spoil_what_is_remembered() -> None:
    curve = CURVES["as measured, Q8_0"]
    costs = remembered_of(curve)
    for slow in (20, 3, 1):
        assert not costs.is_known(1)  # so that nothing is guessed
        costs.note(1, slow * curve[0])
    for n in [5, 1] * 20:
        costs.note(n, curve[n - 1])
    for n in (1, 3, 5, 9):
        assert costs.of(n) / costs.of(1) == pytest.approx(curve[n - 1] / curve[0], rel=0.02)
    assert costs.scale == pytest.approx(curve[0], rel=0.05)


@pytest.mark.parametrize("known", [1, 3, 5, 8])
@pytest.mark.parametrize("n_replies", [2, 8, 12])
@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_a_program_that_begins_with_many_replies_learns_what_they_cost(
    curve: list[float], n_replies: int, known: int
) -> None:
    curve = [*curve, *(curve[-1] * (1 + 0.1 * n) for n in range(1, 8))]
    costs = StepCosts({n: Remembered(curve[n - 1] / curve[0], 0) for n in range(1, known + 1)})
    for n in [n_replies] * 40 + [1, n_replies] * 20:
        costs.note(n, curve[n - 1])
    assert costs.of(n_replies) / costs.of(1) == pytest.approx(curve[n_replies - 1] / curve[0], rel=0.02)
    for n, (cost, _) in costs.to_remember().items():
        assert cost == pytest.approx(curve[n - 1] / curve[0], rel=0.02)


def test_what_was_not_seen_for_long_is_not_remembered_for_ever() -> None:
    curve = CURVES["bound by memory"]
    costs = StepCosts()
    assert costs.to_remember() == {}
    for n in [1, 4] * 16:
        costs.note(n, curve[n - 1])
    kept = costs.to_remember()
    assert {n: round(each.cost, 3) for n, each in kept.items()} == {1: 1.0, 4: 1.09}
    for _ in range(4):  # programs, each of which takes steps of one row only
        costs = StepCosts(kept)
        assert costs.to_remember() == {}  # it has learnt nothing
        for _ in range(250):
            costs.note(1, curve[0])
        kept = costs.to_remember()
        assert costs.is_known(4)
    assert kept[4].age == 1_000
    assert costs.to_remember() == {}  # nothing more
    costs = StepCosts({**kept, 4: Remembered(1.09, 1_100)})
    for _ in range(3):
        costs.note(1, curve[0])
    assert (costs.is_known(1), costs.is_known(4)) == (True, False)


def test_a_machine_that_changes_is_followed() -> None:
    slow, fast = [1.0 + n for n in range(9)], [1 + 0.03 * n for n in range(9)]
    speculator, reply, dice = Speculator(Made(lambda: Sure(0.8)), clock=lambda: 0.0), Reply(), random.Random(3)
    drafted = []
    for step in range(6_000):
        draft = speculator.draft([reply], [MAX_DRAFT_TOKENS], 1, MAX_DRAFT_TOKENS)[0]
        n_accepted = 0
        while n_accepted < len(draft.draft_tokens) and dice.random() < 0.8:
            n_accepted += 1
        curve = slow if step < 1_000 else fast
        speculator.record_step(1 + len(draft.draft_tokens), curve[len(draft.draft_tokens)])
        speculator.record_verification(draft, n_accepted)
        speculator.record_tokens(1, 1 + len(draft.draft_tokens), n_accepted + 1)
        drafted.append(len(draft.draft_tokens))
    assert sum(drafted[500:1_000]) / 500 < 1
    assert sum(drafted[-500:]) / 500 > 4


def test_costs_that_are_seen_seldom_are_not_left_behind_by_accidents_of_others() -> None:
    """A reply of which few tokens can be guessed, on a computer that is slowed down now and then."""
    dice, costs = random.Random(5), StepCosts()
    curve = {1: 0.008, 2: 0.0135, 3: 0.0165, 4: 0.019}
    for n in [*curve] * 16:
        costs.note(n, curve[n])
    for step in range(8_000):
        n = 3 if step % 10 == 0 else 1
        costs.note(n, curve[n] * dice.lognormvariate(0, 0.03) * (2 if dice.random() < 0.05 else 1))
    for n, seconds in curve.items():
        assert costs.of(n) / costs.of(1) == pytest.approx(seconds / curve[1], rel=0.1)


def test_in_a_busy_batch_it_steps_back() -> None:
    """Where each row more costs as much as the first ones, as where arithmetic is the limit, none is worth it."""
    costs = StepCosts()
    for _ in range(16):
        for n in range(1, 40):
            costs.note(n, 1 + 0.02 * n if n <= 8 else 1.16 + (n - 8) * 0.5)
    policy = Policy(costs)
    assert policy.choose([0.7, 0.5, 0.3], n_replies=1, n_batch_tokens=1) == 3
    assert policy.choose([0.7] * 8, n_replies=8, n_batch_tokens=8) == 0


def test_the_surest_guesses_of_all_replies_are_checked() -> None:
    costs = StepCosts()
    for n in [*range(1, 20)] * 16:
        costs.note(n, 1 + 0.3 * n)
    drafters = iter([Sure(0.9), Sure(0.3)])
    speculator = Speculator(Made(lambda: next(drafters)), clock=lambda: 0.0)
    speculator.costs = speculator.policy._costs = costs
    drafts = speculator.draft([Reply(), Reply()], [8, 8], 2, 8)
    assert len(drafts[0].draft_tokens) > len(drafts[1].draft_tokens)


def test_a_drafter_hears_what_its_guesses_brought_above_their_rows() -> None:
    heard = []

    class Listens(Sure):
        def learn(self, draft_tokens: object, gains: Sequence[float], rate: float) -> None:
            heard.append((list(gains), rate))

    speculator, reply = Speculator(Made(lambda: Listens(0.9)), clock=lambda: 0.0), Reply()
    for n_batch_tokens in (1, 2, 3):
        for _ in range(30):
            speculator.record_step(n_batch_tokens, 0.5 * (1 + 0.2 * (n_batch_tokens - 1)))
    (draft,) = speculator.draft([reply], [2], 1, 2)
    speculator.record_verification(draft, 1)
    ((gains, rate),) = heard
    assert gains == pytest.approx([0.8, -0.2], abs=0.02)  # a row takes a fifth of a step, which brings a token
    assert rate == pytest.approx(2, rel=0.02)


def test_no_more_is_drafted_than_may_be_written_or_than_there_is_room_for() -> None:
    speculator = Speculator(Made(lambda: Sure(1.0)), clock=lambda: 0.0)
    for n_batch_tokens in [*range(2, 8)] * 16:
        speculator.record_step(n_batch_tokens, 1.0)
    drafts = speculator.draft([Reply(), Reply()], [2, 0], 2, 8)
    assert [len(draft.draft_tokens) for draft in drafts] == [2, 0]
    drafts = speculator.draft([Reply(), Reply()], [8, 8], 2, 3)
    assert sum(len(draft.draft_tokens) for draft in drafts) == 3
