"""What a sequence keeps and what it decodes again, over a context that only takes notes."""

from typing import Any

import pytest

from seallm_edge.engine import Sequence, sequence
from seallm_edge.sampling import Sampling

CHUNK = 8


class NotingContext:
    """Remembers which tokens lie at which position, and the batches that brought them."""

    n_ctx = 40

    def __init__(self) -> None:
        self.cells: list[int] = []
        self.batches: list[tuple[int, int]] = []

    def decode(self, tokens: list[int], position: int) -> None:
        assert position == len(self.cells), "a hole or an overlap in the KV memory"
        self.cells += tokens
        self.batches.append((position, len(tokens)))

    def forget_from(self, position: int) -> None:
        del self.cells[position:]


class CountingSampler:
    """Says 1000, 1001, 1002, …"""

    def __init__(self, _sampling: Sampling) -> None:
        self.next = 1000
        self.is_closed = False

    def sample(self, _context: Any, _history: list[int]) -> int:
        self.next += 1
        return self.next - 1

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def context() -> NotingContext:
    return NotingContext()


@pytest.fixture
def kept(context: NotingContext, monkeypatch: pytest.MonkeyPatch) -> Sequence:
    monkeypatch.setattr(sequence, "Sampler", CountingSampler)
    return Sequence(context, CHUNK)  # type: ignore[arg-type]


def write(kept: Sequence, count: int) -> list[int]:
    """`count` tokens, all but the last of them decoded."""
    steps = kept.write(Sampling())
    tokens = [next(steps) for _ in range(count)]
    steps.close()
    return tokens


def test_a_prompt_is_read_in_chunks_that_tell_how_far_it_is(kept: Sequence, context: NotingContext) -> None:
    assert list(kept.read(list(range(20)))) == [8, 16, 20]
    assert context.batches == [(0, 8), (8, 8), (16, 4)]


def test_each_token_is_decoded_only_when_the_next_is_asked_for(kept: Sequence, context: NotingContext) -> None:
    list(kept.read([1, 2, 3]))
    assert write(kept, 3) == [1000, 1001, 1002]
    assert context.cells == [1, 2, 3, 1000, 1001]


def test_the_next_turn_goes_on_where_the_reply_ended(kept: Sequence, context: NotingContext) -> None:
    list(kept.read(list(range(10))))
    write(kept, 4)
    context.batches.clear()
    turn = [*range(10), 1000, 1001, 1002, 7, 7]
    assert kept.reusable(turn) == 13
    list(kept.read(turn))
    assert context.batches == [(13, 2)]
    assert context.cells == turn


def test_batches_after_a_kept_prefix_end_where_a_fresh_reading_would_end_them(
    kept: Sequence, context: NotingContext
) -> None:
    list(kept.read([1, 2, 3]))
    write(kept, 3)
    context.batches.clear()
    list(kept.read([1, 2, 3, 1000, 1001, *range(20)]))
    assert context.batches == [(5, 3), (8, 8), (16, 8), (24, 1)]


def test_the_same_prompt_again_is_read_from_the_batch_it_ended_in(kept: Sequence, context: NotingContext) -> None:
    prompt = list(range(20))
    list(kept.read(prompt))
    write(kept, 3)
    assert kept.reusable(prompt) == 16
    context.batches.clear()
    list(kept.read(prompt))
    assert context.batches == [(16, 4)]


def test_a_prompt_that_parts_within_a_batch_goes_back_to_its_beginning(kept: Sequence) -> None:
    list(kept.read(list(range(20))))
    assert kept.reusable([*range(13), 99, 99, 99, 99]) == 8


def test_a_prompt_that_parts_within_a_reply_keeps_what_they_share(kept: Sequence) -> None:
    list(kept.read(list(range(10))))
    write(kept, 6)
    assert kept.reusable([*range(10), 1000, 1001, 5, 5, 5]) == 12


def test_a_prompt_that_is_a_beginning_of_what_is_there_still_gets_logits(kept: Sequence) -> None:
    list(kept.read(list(range(20))))
    assert kept.reusable(list(range(5))) == 0
    assert list(kept.read(list(range(5)))) == [5]


def test_nothing_shared_is_nothing_kept(kept: Sequence, context: NotingContext) -> None:
    list(kept.read(list(range(20))))
    list(kept.read([9, 9, 9]))
    assert context.cells == [9, 9, 9]


def test_writing_ends_when_the_context_is_full(kept: Sequence, context: NotingContext) -> None:
    list(kept.read(list(range(30))))
    assert len(list(kept.write(Sampling()))) == context.n_ctx - 30 + 1
    assert len(context.cells) == context.n_ctx


def test_a_reading_broken_off_leaves_what_was_read_in_order(kept: Sequence, context: NotingContext) -> None:
    reading = kept.read(list(range(20)))
    next(reading)
    reading.close()
    assert list(kept.read(list(range(20)))) == [16, 20]
    assert context.cells == list(range(20))
