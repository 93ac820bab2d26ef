import pytest
from hypothesis import given
from hypothesis import strategies as st

from seallm_edge.engine.batching import share_out
from seallm_edge.engine.prefill_budget import TARGET_SECONDS, PrefillBudget


@given(st.integers(0, 200), st.lists(st.integers(1, 100), max_size=20))
def test_room_is_dealt_out_wholly_and_nobody_gets_more_than_he_wants(room: int, wants: list[int]) -> None:
    shares = share_out(room, wants)
    assert sum(shares) == min(room, sum(wants))
    assert all(0 <= share <= want for share, want in zip(shares, wants, strict=True))


@given(st.integers(0, 200), st.lists(st.integers(1, 100), min_size=2, max_size=20))
def test_who_gets_less_than_he_wants_gets_as_much_as_anybody_but_one(room: int, wants: list[int]) -> None:
    shares = share_out(room, wants)
    short = [share for share, want in zip(shares, wants, strict=True) if share < want]
    assert not short or min(short) >= max(shares) - 1


@pytest.mark.parametrize(("fixed", "per_token"), [(0.0, 0.01), (0.05, 0.005), (0.1, 0.002), (0.0, 0.0001)])
def test_mixed_steps_settle_near_their_target(fixed: float, per_token: float) -> None:
    prefill_budget = PrefillBudget()
    for _ in range(60):
        prefill_budget.record(2, prefill_budget.n_tokens, fixed + per_token * prefill_budget.n_tokens)
    seconds = fixed + per_token * prefill_budget.n_tokens
    assert prefill_budget.n_tokens == 1024 or TARGET_SECONDS * 0.8 <= seconds <= TARGET_SECONDS * 1.05


def test_replies_that_take_long_by_themselves_are_lengthened_by_a_quarter_at_most() -> None:
    prefill_budget = PrefillBudget()
    prefill_budget.record(16, 0, 0.8)
    for _ in range(60):
        prefill_budget.record(16, prefill_budget.n_tokens, 0.8 + 0.01 * prefill_budget.n_tokens)
    assert 10 <= prefill_budget.n_tokens <= 20


def test_a_machine_too_slow_for_the_target_still_reads_a_few_tokens() -> None:
    prefill_budget = PrefillBudget()
    for _ in range(50):
        prefill_budget.record(2, prefill_budget.n_tokens, 3.0 + 0.5 * prefill_budget.n_tokens)
    assert prefill_budget.n_tokens == 4


def test_a_short_prompt_that_was_quick_says_nothing_of_longer_ones() -> None:
    prefill_budget = PrefillBudget()
    before = prefill_budget.n_tokens
    prefill_budget.record(2, 1, 0.001)
    assert prefill_budget.n_tokens == before
