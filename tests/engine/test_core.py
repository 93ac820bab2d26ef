"""Scheduling, batches and KV reuse, on a context that checks every token against its sequence."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seallm_edge.drafting import Drafter, DraftToken, Speculator
from seallm_edge.engine.output_queue import FULL, LOW
from seallm_edge.errors import EngineError
from support.drafter_sources import Made
from support.engine_fakes import (
    BYTES_A_TOKEN,
    END,
    FakeContext,
    HashSampler,
    SchedulerHarness,
    alone,
    next_token,
    spelt,
)


def prompt(seed: int, length: int) -> list[int]:
    return random.Random(seed).choices(range(END), k=length)


SYSTEM = prompt(1000, 70)


def long_winded(length: int = 5, at_least: int = 40) -> list[int]:
    """A prompt whose reply does not end by itself for a while."""
    for seed in range(10_000):
        tokens = prompt(seed, length)
        text = list(tokens)
        while len(text) < length + at_least and next_token(text) != END:
            text.append(next_token(text))
        if len(text) == length + at_least:
            return tokens
    raise AssertionError("no such prompt")


class Oracle(Drafter):
    """Knows what will come, but for every `wrong`-th draft token."""

    def __init__(self, wrong: int = 0) -> None:
        self.wrong = wrong
        self.n_asked = 0

    def next(self, tokens: Sequence[int], draft: Sequence[int]) -> DraftToken:
        self.n_asked += 1
        token = next_token([*tokens, *draft])
        is_wrong = self.wrong and self.n_asked % self.wrong == 0
        return DraftToken((token + 1) % END if is_wrong else token, 0.95, "oracle")


def eager(make_drafter: Callable[[], Drafter]) -> Speculator:
    """One to whom draft tokens cost nothing."""
    speculator = Speculator(Made(make_drafter))
    for n_batch_tokens in [*range(1, 64)] * 16:
        speculator.record_step(n_batch_tokens, 1.0)
    return speculator


def test_a_reply_is_what_the_model_says_of_its_own_text() -> None:
    harness = SchedulerHarness(FakeContext())
    sequence = harness.ask(prompt(1, 20))
    harness.run()
    assert harness.texts[sequence] == spelt(alone(sequence.request))


def test_replies_come_together_and_none_disturbs_another() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=400))
    sequences = [harness.ask(prompt(seed, 10 + seed)) for seed in range(6)]
    harness.run()
    assert [harness.texts[sequence] for sequence in sequences] == [
        spelt(alone(sequence.request)) for sequence in sequences
    ]
    assert harness.context.n_steps < sum(10 + seed + 12 for seed in range(6)) / 4


def test_32_replies_come_at_once_and_the_next_ones_wait_in_order() -> None:
    context = FakeContext(n_ctx=4096, n_batch=64, n_sequences=64, n_outputs=64, is_batch_invariant=True)
    harness = SchedulerHarness(context)
    asked = [harness.ask(long_winded(length=5 + number % 3), max_tokens=40) for number in range(40)]
    for _ in range(20):
        harness.step()
    scheduler = harness.core.scheduler
    assert scheduler.running == asked[:32]
    assert scheduler.waiting == asked[32:]
    assert all(harness.tokens[sequence] for sequence in asked[:32])
    harness.run()
    assert all(harness.ends[sequence].error is None for sequence in asked)


def test_a_long_prompt_lets_a_running_reply_speak_at_every_step() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=2000, n_batch=128))
    first = harness.ask(long_winded(), max_tokens=40)
    while not harness.texts[first]:
        harness.step()
    harness.ask(prompt(2, 1000))
    for _ in range(20):
        said = len(harness.texts[first])
        harness.step()
        assert len(harness.texts[first]) == said + 1


def test_steps_beside_running_replies_stay_below_a_block_of_rows() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=2000, n_batch=128))
    first = harness.ask(long_winded(), max_tokens=40)
    while not harness.texts[first]:
        harness.step()
    harness.context.row_counts.clear()
    harness.ask(prompt(2, 1000))
    while first not in harness.ends:
        harness.step()
    assert max(harness.context.row_counts[:-1]) < 64


def test_steps_beside_running_replies_are_full_where_all_batches_round_alike() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=4000, n_batch=128, is_batch_invariant=True))
    first = harness.ask(long_winded(), max_tokens=40)
    while not harness.texts[first]:
        harness.step()
    harness.ask(prompt(2, 3000))
    while first not in harness.ends:
        harness.step()
    assert max(harness.context.row_counts) == 128


@pytest.mark.parametrize("length", [1, 64, 65, 127, 128, 129, 200, 300])
def test_a_prompt_is_read_in_whole_batches_where_all_round_alike(length: int) -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=2000, n_batch=128, is_batch_invariant=True))
    harness.ask(prompt(3, length), max_tokens=1)
    harness.run()
    assert harness.context.row_counts == [min(128, length - start) for start in range(0, length, 128)]


@pytest.mark.parametrize("length", [1, 63, 64, 65, 127, 128, 129, 200, 256, 300])
def test_a_prompt_alone_is_read_in_whole_blocks_and_a_rest(length: int) -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=2000, n_batch=128))
    harness.ask(prompt(3, length), max_tokens=1)
    harness.run()
    rest = length % 128
    blocks = [128] * (length // 128) + ([64, rest - 64] if rest > 64 else [rest])
    assert harness.context.row_counts == [rows for rows in blocks if rows]


def test_several_prompts_are_read_side_by_side() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=2000, n_batch=64))
    long, short = harness.ask(prompt(1, 800)), harness.ask(prompt(2, 40))
    while not harness.texts[short]:
        harness.step()
    assert not harness.texts[long]
    assert harness.context.n_batch_tokens <= 3 * 64


def test_prompts_read_side_by_side_are_read_as_each_would_be_alone() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=2000, n_batch=128))
    for length in (300, 100, 20, 21):
        harness.ask(prompt(length, length), max_tokens=1)
    harness.run()
    # a block, the rest with the rests that fit, and so on: 300 is 128 + 128 + 44, 100 is 64 + 36
    assert sorted(harness.context.row_counts) == sorted([128, 64, 41, 128, 36, 44])


def test_the_next_turn_goes_on_from_the_last() -> None:
    harness = SchedulerHarness(FakeContext())
    first = harness.ask(prompt(1, 20))
    harness.run()
    chunk = [*first.request.tokens, *alone(first.request), 1, 2, 3]
    second = harness.ask(chunk)
    harness.run()
    assert second.cached_tokens >= 20 + len(alone(first.request)) - 1
    assert harness.texts[second] == spelt(alone(second.request))


def test_conversations_share_the_cells_of_their_common_beginning() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=300))
    for seed in range(4):
        sequence = harness.ask([*SYSTEM, *prompt(seed, 5)], max_tokens=4)
        harness.run()
        assert sequence.cached_tokens == (len(SYSTEM) if seed else 0)
    assert len(harness.context.cells) <= len(SYSTEM) + 4 * 9


def test_a_common_beginning_is_read_once_by_those_who_ask_at_the_same_time() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=400, n_batch=16))
    sequences = [harness.ask([*SYSTEM, *prompt(seed, 5)], max_tokens=4) for seed in range(5)]
    harness.run()
    assert harness.context.n_batch_tokens <= len(SYSTEM) + 5 * (5 + 4)
    assert [harness.texts[sequence] for sequence in sequences] == [
        spelt(alone(sequence.request)) for sequence in sequences
    ]


def test_one_prompt_asked_many_times_is_read_once() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=400))
    for _ in range(5):
        harness.ask(SYSTEM, max_tokens=4)
    harness.run()
    assert harness.context.n_batch_tokens <= len(SYSTEM) + 5 * 4


def test_a_seeded_prompt_that_parts_goes_back_to_a_whole_block_when_it_is_alone() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=800, n_batch=128))
    harness.ask([*SYSTEM, *prompt(1, 70)], seed=1, max_tokens=2)
    harness.run()
    sequence = harness.ask([*SYSTEM, *prompt(2, 70)], seed=1, max_tokens=2)
    harness.run()
    assert sequence.cached_tokens == 64


def test_a_seeded_prompt_that_parts_in_its_rest_keeps_what_was_read_as_a_rest() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=400, n_batch=128))
    harness.ask([*SYSTEM, 1, 2, 3], seed=1, max_tokens=2)
    harness.run()
    sequence = harness.ask([*SYSTEM, 4, 5, 6], seed=1, max_tokens=2)
    harness.run()
    assert sequence.cached_tokens == len(SYSTEM)


def test_what_was_read_in_company_in_pieces_is_read_anew_for_a_seeded_reply_that_is_alone() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=800, n_batch=128))
    harness.ask(long_winded(), max_tokens=60)
    harness.step()
    harness.ask([*SYSTEM, *prompt(1, 70)], max_tokens=2)
    harness.run()
    sequence = harness.ask([*SYSTEM, *prompt(1, 70)], seed=1, max_tokens=2)
    harness.run()
    assert sequence.cached_tokens == 0


def test_a_seeded_reply_that_is_alone_has_the_first_cells_to_itself() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=400, n_batch=128))
    for seed in range(3):
        harness.ask(prompt(seed, 70), max_tokens=2)
    harness.run()
    for number in (1, 2):
        sequence = harness.ask(prompt(number, 70), seed=1, max_tokens=2)
        harness.run()
        assert sequence.cached_tokens == 68
        assert len(harness.context.cells) == 71
        assert [position for position, _, _ in harness.context.cells] == list(range(71))


def test_where_cells_are_short_the_newest_waits_and_loses_nothing() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=100))
    old, new = (harness.ask(long_winded(30), max_tokens=38), harness.ask(long_winded(29), max_tokens=38))
    while harness.core.has_work:
        harness.step()
        assert old in harness.ends or old in harness.core.scheduler.running
    assert [harness.texts[sequence] for sequence in (old, new)] == [
        spelt(alone(sequence.request)) for sequence in (old, new)
    ]
    assert harness.seconds(old) < harness.seconds(new)


def test_a_reply_that_fills_the_context_ends_there() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=40))
    sequence = harness.ask(long_winded(5, 40), max_tokens=None)
    harness.run()
    assert harness.ends[sequence].finish_reason == "length"
    assert len(harness.texts[sequence]) == 40 - 5 + 1


def test_the_longest_prompt_that_fits_is_answered_even_after_others() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=96))
    for seed in range(6):
        harness.ask(prompt(seed, 25), max_tokens=3)
    harness.run()
    sequence = harness.ask([*prompt(5, 20), *prompt(9, 75)], max_tokens=3)
    harness.run()
    assert harness.ends[sequence].error is None


def test_nobody_overtakes_a_large_prompt_that_waits_for_room() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=96, n_sequences=16))
    harness.ask(long_winded(40), max_tokens=30)
    large = harness.ask(prompt(2, 80), max_tokens=3)
    small = [harness.ask(prompt(seed, 10), max_tokens=30) for seed in range(3, 8)]
    harness.run()
    assert all(harness.seconds(large) <= harness.seconds(sequence) for sequence in small)


def test_a_reader_that_stops_reading_stops_costing() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=1000))
    sequence = harness.ask(long_winded(5, 300), max_tokens=400)
    while harness.step(listens=lambda _: False):
        pass
    assert sequence.output._items.qsize() == FULL
    steps = harness.context.n_steps
    harness.step(listens=lambda _: False)
    assert harness.context.n_steps == steps
    harness.listen(sequence, FULL - LOW)
    harness.run()
    assert harness.texts[sequence] == spelt(alone(sequence.request))


def test_one_who_does_not_read_gives_his_cells_to_one_who_waits() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=200))
    silent = harness.ask(long_winded(5, 190), max_tokens=180)
    while harness.step(listens=lambda _: False):
        pass
    other = harness.ask(prompt(1, 150), max_tokens=5)
    while other not in harness.ends:
        assert harness.step(listens=lambda sequence: sequence is other)
    assert silent not in harness.ends
    harness.listen(silent)
    harness.run()
    assert harness.texts[silent] == spelt(alone(silent.request))


def test_a_cancelled_reply_ends_and_its_tokens_stay_useful() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=400, n_batch=16))
    sequence = harness.ask(prompt(1, 200))
    for _ in range(5):
        harness.step()
    sequence.output.cancel()
    harness.step()
    assert not harness.core.has_work
    again = harness.ask(prompt(1, 200))
    harness.run()
    assert again.cached_tokens == 80
    assert harness.texts[again] == spelt(alone(again.request))


def test_an_aborted_step_is_as_if_it_had_not_begun() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=400))
    harness.context.interruptions = iter(i % 3 == 1 for i in range(10_000))
    sequences = [harness.ask(prompt(seed, 30)) for seed in range(4)]
    harness.run()
    assert [harness.texts[sequence] for sequence in sequences] == [
        spelt(alone(sequence.request)) for sequence in sequences
    ]


@pytest.mark.parametrize("wrong", [0, 1, 2, 3, 5])
def test_guesses_change_how_soon_a_text_comes_and_never_which(wrong: int) -> None:
    plain, guessed = (
        SchedulerHarness(FakeContext(n_ctx=400)),
        SchedulerHarness(FakeContext(n_ctx=400), speculation=eager(lambda: Oracle(wrong))),
    )
    for harness in (plain, guessed):
        for seed in range(3):
            harness.ask(long_winded(5 + seed), max_tokens=30)
        harness.run()
    assert list(guessed.texts.values()) == list(plain.texts.values())
    assert all(len(text) == 30 for text in guessed.texts.values())
    assert (guessed.context.n_steps < plain.context.n_steps) == (wrong != 1)


def test_guesses_beyond_max_tokens_are_not_even_checked() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=400), speculation=eager(Oracle))
    harness.ask(long_winded(5), max_tokens=3)
    harness.run()
    assert harness.context.n_batch_tokens == 5 + 2


@pytest.mark.parametrize("n_tokens", [2, 3, 11, 30])
def test_the_figures_of_a_reply_count_its_last_step(n_tokens: int) -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=400), speculation=eager(Oracle))
    sequence = harness.ask(long_winded(5), max_tokens=n_tokens)
    harness.run()
    n_decode_steps = harness.context.n_steps - 1  # the first one completed the prefill
    assert harness.ends[sequence].last.progress.tokens_per_step == (n_tokens - 1) / n_decode_steps


def test_with_a_budget_of_0_nothing_is_kept() -> None:
    harness = SchedulerHarness(FakeContext(), budget=0)
    for _ in range(2):
        sequence = harness.ask(prompt(1, 20))
        harness.run()
        assert sequence.cached_tokens == 0
    assert harness.context.cells == []


def test_what_leaves_the_cells_comes_back_from_the_shelf() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=200))
    first = harness.ask(prompt(1, 120), max_tokens=2)
    harness.run()
    harness.ask(prompt(2, 150), max_tokens=2)
    harness.run()
    assert harness.host_cache.n_bytes > 0
    again = harness.ask([*first.request.tokens, 1, 2], max_tokens=2)
    harness.run()
    assert again.cached_tokens >= 119
    assert harness.texts[again] == spelt(alone(again.request))


def test_the_shelf_holds_its_budget_and_forgets_what_was_used_longest_ago() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=100), budget=200 * BYTES_A_TOKEN)
    for seed in range(6):
        harness.ask(prompt(seed, 80), max_tokens=2)
        harness.run()
    for seed, shared in ((1, 0), (4, 79)):
        sequence = harness.ask(prompt(seed, 80), max_tokens=1)
        harness.run()
        assert sequence.cached_tokens == shared


def test_a_step_that_fails_ends_its_replies_with_the_error_and_others_go_on() -> None:
    class Failing(FakeContext):
        fails = False

        def run(self, batch: object) -> None:
            if self.fails:
                raise EngineError("llama.cpp could not decode")
            super().run(batch)

    context = Failing(n_ctx=400)
    harness = SchedulerHarness(context)
    broken = harness.ask(prompt(1, 20))
    context.fails = True
    harness.step()
    context.fails = False
    sound = harness.ask(prompt(2, 20))
    harness.run()
    assert str(harness.ends[broken].error) == "llama.cpp could not decode"
    assert harness.texts[sound] == spelt(alone(sound.request))


def test_a_sampler_that_fails_ends_its_own_reply_only(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=400))
    broken, sound = harness.ask(prompt(1, 20), seed=5), harness.ask(prompt(2, 20))
    chosen = HashSampler.sample

    def sample(self: HashSampler, context: FakeContext, index: int, history: list[int]) -> object:
        if history[:20] == prompt(1, 20):
            raise EngineError("the grammar allows nothing")
        return chosen(self, context, index, history)

    monkeypatch.setattr(HashSampler, "sample", sample)
    harness.run()
    assert str(harness.ends[broken].error) == "the grammar allows nothing"
    assert harness.texts[sound] == spelt(alone(sound.request))


def test_failing_all_ends_all_and_leaves_no_sequence_in_use() -> None:
    harness = SchedulerHarness(FakeContext(n_ctx=200, n_sequences=4))
    sequences = [harness.ask(prompt(seed, 30)) for seed in range(5)]
    harness.step()
    harness.core.fail(lambda: EngineError("closed"))
    for sequence in sequences:
        harness.listen(sequence)
    assert {str(harness.ends[sequence].error) for sequence in sequences} == {"closed"}
    harness.check()
    assert not any(slot.is_busy for slot in harness.slots.all)


actions = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "step", "step", "step", "cancel", "listen", "abort"]), st.integers(0, 999)
    ),
    max_size=120,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    actions,
    st.sampled_from([0, 150, 1500, 100_000]),
    st.sampled_from([(96, 16, 8, 8), (64, 8, 3, 8), (130, 64, 4, 16), (40, 4, 2, 4)]),
    st.sampled_from([None, 0, 2, 3]),
)
def test_whatever_happens_in_between_no_token_is_lost_or_said_twice(
    actions: list[tuple[str, int]], budget: int, sizes: tuple[int, int, int, int], wrong: int | None
) -> None:
    HashSampler.n_open = 0
    harness = SchedulerHarness(FakeContext(*sizes), budget, None if wrong is None else eager(lambda: Oracle(wrong)))
    cancelled = set()
    for action, number in actions:
        if action == "ask":
            dice = random.Random(number)
            length = dice.randrange(1, sizes[0] - 1)
            shared = SYSTEM[: dice.choice([0, 0, 3, 30, 66])]
            seed = dice.choice([None, 1])
            harness.ask([*shared, *prompt(number % 7, length)][:length], max_tokens=dice.choice([1, 5, 30]), seed=seed)
        elif action == "step":
            harness.step(listens=lambda sequence: (sequence.serial + number) % 3 == 0)  # noqa: B023
        elif action == "abort":
            harness.context.interruptions = iter([True] + [False] * 100_000)
        elif harness.sequences:
            sequence = harness.sequences[number % len(harness.sequences)]
            if action == "cancel":
                sequence.output.cancel()
                cancelled.add(sequence)
            else:
                harness.listen(sequence, number % 5)
    harness.run()
    for sequence in harness.sequences:
        harness.listen(sequence)
        whole = spelt(alone(sequence.request))
        end = harness.ends[sequence]
        if (sequence in cancelled and end.finish_reason == "cancelled") or len(sequence.request.tokens) + len(
            whole
        ) > sizes[0]:
            assert whole.startswith(harness.texts[sequence])
        else:
            assert (end.error, harness.texts[sequence]) == (None, whole)
    assert HashSampler.n_open == 0
    assert not any(slot.is_busy for slot in harness.slots.all)
