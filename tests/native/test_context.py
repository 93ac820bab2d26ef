"""The KV cache of many sequences, on the real llama.cpp and the demo model."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from seallm_edge.errors import EngineError
from seallm_edge.native.batch import Batch
from seallm_edge.native.context import Context, DecodeAborted, NoRoom
from seallm_edge.native.model import Model

TOKENS = list(range(1000, 1060))


@pytest.fixture(scope="module")
def model(demo_file: Path) -> Iterator[Model]:
    loaded = Model(demo_file)
    yield loaded
    loaded.close()


@pytest.fixture
def context(model: Model) -> Iterator[Context]:
    made = Context(model, n_ctx=256, n_batch=128, n_threads=2, n_sequences=8, n_outputs=8)
    yield made
    made.close()


def read(context: Context, tokens: list[int], sequence: int = 0, position: int = 0) -> np.ndarray:
    """The logits after `tokens`."""
    batch = Batch(128)
    last = batch.extend(tokens, position, sequence, n_logits=1)
    context.run(batch)
    return context.logits(last).copy()


def test_sequences_in_one_step_do_not_see_one_another(context: Context) -> None:
    alone = [read(context, tokens, number) for number, tokens in enumerate((TOKENS[:20], TOKENS[20:50]))]
    context.clear()
    batch = Batch(128)
    rows = [batch.extend(tokens, 0, number, n_logits=1) for number, tokens in enumerate((TOKENS[:20], TOKENS[20:50]))]
    context.run(batch)
    for row, expected in zip(rows, alone, strict=True):
        np.testing.assert_allclose(context.logits(row), expected, atol=1e-3)


def test_a_copied_sequence_goes_on_as_the_first_would(context: Context) -> None:
    read(context, TOKENS)
    context.copy(0, 3, 40)
    forked = read(context, TOKENS[40:50], 3, 40)
    context.clear()
    read(context, TOKENS[:40])
    np.testing.assert_array_equal(read(context, TOKENS[40:50], 0, 40), forked)


def test_what_two_sequences_share_stays_when_one_forgets_it(context: Context) -> None:
    read(context, TOKENS)
    context.copy(0, 1, len(TOKENS))
    context.forget(0)
    kept = read(context, [5, 6], 1, len(TOKENS))
    context.clear()
    read(context, TOKENS)
    np.testing.assert_array_equal(read(context, [5, 6], 0, len(TOKENS)), kept)


def test_a_state_brings_a_sequence_back_in_another_place(context: Context) -> None:
    read(context, TOKENS)
    state = context.state(0)
    expected = read(context, [5, 6], 0, len(TOKENS))
    context.clear()
    read(context, TOKENS[:30], 1)
    assert context.restore(6, state)
    np.testing.assert_array_equal(read(context, [5, 6], 6, len(TOKENS)), expected)


@pytest.mark.slow
def test_states_that_come_and_go_leave_no_memory_behind(model: Model) -> None:
    context = Context(model, n_ctx=1024, n_batch=128, n_threads=2, n_sequences=2, n_outputs=2)
    for start in range(0, 896, 128):
        read(context, list(range(1000 + start, 1128 + start)), 0, start)
    dice = random.Random(7)
    kept: list[memoryview] = []

    def replace_states(times: int) -> int:
        for _ in range(times):
            context.copy(0, 1, dice.randint(64, 896))
            kept.append(context.state(1))
            context.forget(1)
            while sum(state.nbytes for state in kept) > 60_000_000:
                del kept[dice.randrange(len(kept))]
        return psutil.Process().memory_info().rss - sum(state.nbytes for state in kept)

    before = replace_states(50)
    most = max(replace_states(50) for _ in range(10))
    context.close()
    assert most - before < 10_000_000


def test_a_state_for_which_there_is_no_room_is_refused(context: Context) -> None:
    read(context, TOKENS)
    state = context.state(0)
    for number in range(1, 5):
        read(context, TOKENS[: 49 if number < 4 else 45], number)
    assert not context.restore(6, state)
    assert len(read(context, [5], 6)) == context.n_vocab


def test_a_step_without_room_changes_nothing(context: Context) -> None:
    for number in range(4):
        read(context, TOKENS, number)
    with pytest.raises(NoRoom):
        read(context, TOKENS[:17], 5)
    read(context, TOKENS[:16], 5)


def test_an_aborted_step_changes_nothing_and_later_ones_run_once_allowed(context: Context) -> None:
    expected = read(context, TOKENS)
    context.clear()
    context.abort()
    for _ in range(2):
        with pytest.raises(DecodeAborted):
            read(context, TOKENS)
    context.allow()
    np.testing.assert_array_equal(read(context, TOKENS), expected)


def test_a_step_is_aborted_in_its_middle_by_another_thread(model: Model) -> None:
    context = Context(model, n_ctx=2048, n_batch=2048, n_threads=2)
    aborted = 0
    for delay in (0.005, 0.01, 0.02, 0.04):
        timer = threading.Timer(delay, context.abort)
        timer.start()
        try:
            context.decode([1000] * 2000, 0)
        except DecodeAborted:
            aborted += 1
        timer.join()
        context.allow()
        context.forget(0)
    context.close()
    assert aborted >= 3


def test_views_of_logits_are_of_the_row_asked_for(context: Context) -> None:
    batch = Batch(128)
    batch.extend(TOKENS, 0, 0, n_logits=8)
    context.run(batch)
    rows = [context.logits(index).copy() for index in range(52, 60)]
    assert len({row.tobytes() for row in rows}) == 8
    with pytest.raises(EngineError, match="no logits were kept for token 3 "):
        context.logits(3)


@pytest.mark.parametrize("n_ctx", [1, 2, 40, 300])
def test_small_contexts_with_many_sequences_work(model: Model, n_ctx: int) -> None:
    small = Context(model, n_ctx=n_ctx, n_batch=min(128, n_ctx), n_threads=1, n_sequences=32, n_outputs=32)
    small.decode([1000], 0)
    assert np.isfinite(small.logits()).all()
    small.close()


def test_a_batch_holds_no_more_than_its_capacity_and_no_step_is_empty(context: Context) -> None:
    batch = Batch(2)
    with pytest.raises(EngineError, match="a batch holds 1 to 2 tokens, not 3"):
        batch.extend([1, 2, 3], 0, 0, n_logits=1)
    with pytest.raises(EngineError, match="a step needs at least one token"):
        context.run(batch)
