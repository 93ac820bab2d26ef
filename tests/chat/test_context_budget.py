"""Context budget: which turns stay, how many leave at once, and how seldom tokens are counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seallm_edge.chat.context_budget import ContextBudget
from seallm_edge.errors import InvalidOption

N_CTX = 1000


def kept(turns: list[int], first: int = 0, **budget: object) -> int:
    return ContextBudget(**budget).first_turn(len(turns), first, N_CTX, lambda i: sum(turns[i:]))


def test_a_prompt_that_fits_keeps_all_turns() -> None:
    assert ContextBudget(reply_tokens=100).prompt_tokens(N_CTX) == 900
    assert kept([300, 300, 300], reply_tokens=100) == 0


def test_when_it_is_full_so_many_leave_that_the_next_turns_fit() -> None:
    assert kept([300, 301, 100, 100, 100], reply_tokens=100) == 2  # 540 tokens at most


def test_in_a_small_context_the_reply_has_a_quarter() -> None:
    assert ContextBudget().prompt_tokens(256) == 192
    assert ContextBudget().prompt_tokens(8192) == 7680


def test_the_newest_turn_stays_even_if_it_is_too_long() -> None:
    assert kept([10, 10, 5000]) == 2
    assert kept([5000]) == 0


def test_turns_that_have_left_do_not_come_back() -> None:
    assert kept([300, 300, 300, 300, 50], first=2, reply_tokens=100) == 2


def test_it_can_stop_instead() -> None:
    assert kept([900, 900, 900], when_full="stop") == 0


@pytest.mark.parametrize(
    "options", [{"reply_tokens": 0}, {"reply_tokens": True}, {"reply_tokens": "9"}, {"when_full": "cut"}]
)
def test_invalid_budgets(options: dict[str, object]) -> None:
    with pytest.raises(InvalidOption, match=f"{next(iter(options))} is"):
        ContextBudget(**options)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=300), st.data())
def test_what_stays_is_the_longest_end_within_its_share(turns: list[int], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(turns) - 1))
    calls = []

    def count(turn: int) -> int:
        calls.append(turn)
        return sum(turns[turn:])

    start = ContextBudget().first_turn(len(turns), first, N_CTX, count)
    n_calls = len(calls)
    space = ContextBudget().prompt_tokens(N_CTX)
    if count(first) <= space:
        assert start == first
    else:
        assert first < start or start == len(turns) - 1
        assert count(start) <= space * 0.6 or start == len(turns) - 1
        assert start == first + 1 or count(start - 1) > space * 0.6
    assert n_calls <= 2 + len(turns).bit_length()
