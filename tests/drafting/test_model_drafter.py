"""Draft model for a larger model: mechanics and exactness, on two tiny models with seeded weights."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from seallm_edge import InvalidOption, SeaLLM
from seallm_edge.drafting import DraftModel
from seallm_edge.loading import resolve
from seallm_edge.native.backends import load_backends
from seallm_edge.plan import LoadOptions
from support.eager_drafting import draft_always
from support.second_opinion import regrets
from support.tiny_model import write_tiny

pytestmark = pytest.mark.slow


GREEDY = {"temperature": 0, "repeat_penalty": 1.0, "max_tokens": 60}
PROMPTS = [
    "rice",
    "the harbour at night",
    "1 2 3 4 5",
    "\u0e02\u0e49\u0e32\u0e27",
    "a" * 150,
]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "large.gguf"
    write_tiny(path, quantized=True)
    return path


@pytest.fixture(scope="module")
def padded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other weights, and rows of padding after the vocabulary, as a 1.5B and a 7B differ."""
    path = tmp_path_factory.mktemp("models") / "padded.gguf"
    write_tiny(path, seed=1, quantized=True, tokens=("[PAD1]", "[PAD2]"))
    return path


def texts(path: Path, drafting: str | Path, **options: object) -> list[str]:
    """Replies to PROMPTS, each from a new context of 256 cells: a row is the same there in any step. Beyond them the
    attention of a single row is split among the threads, which rounds otherwise.
    """
    found = []
    for prompt in PROMPTS:
        with SeaLLM(path, context=256, drafting=drafting) as llm:
            if drafting != "off":
                draft_always(llm)
            found.append(llm.complete(prompt, **{**GREEDY, **options}).text)
    return found


@pytest.mark.skipif("Q8_0" not in load_backends().kernel_types, reason="the number of rows changes bits here")
@pytest.mark.parametrize("options", [{}, {"temperature": 0.9, "seed": 5}], ids=["greedy", "seeded"])
def test_the_text_is_the_same_whoever_drafts(large: Path, padded: Path, options: dict[str, float]) -> None:
    expected = texts(large, "off", **options)
    for drafter in (large, padded):
        assert texts(large, drafter, **options) == expected


def test_a_model_that_thinks_alike_is_nearly_always_right(large: Path) -> None:
    with SeaLLM(large, context=1024, drafting=large) as llm:
        draft_always(llm)
        for prompt in PROMPTS:
            reply = llm.complete(prompt, **GREEDY)
            assert reply.timings.tokens_per_step > 2.5


def test_many_replies_are_drafted_side_by_side(large: Path, padded: Path) -> None:
    short = {**GREEDY, "max_tokens": 16, "logprobs": 1}
    for drafter in (large, padded):
        with SeaLLM(large, context=1024, drafting=drafter) as llm:
            draft_always(llm)
            for _ in range(3):  # where earlier ones were, too
                streams = [llm.complete_stream(prompt, **short) for prompt in PROMPTS[:3] * 2]
                for prompt, stream in zip(PROMPTS[:3] * 2, streams, strict=True):
                    tokens = [each.token for each in stream.read().logprobs]
                    assert len(tokens) > 10
                    assert max(regrets(large, llm.tokenize(prompt), tokens)) < 0.3


def test_it_comes_and_goes_with_the_model_it_drafts_for(large: Path, padded: Path) -> None:
    for drafter, least in ((large, 2.5), (padded, 1.0)):
        with SeaLLM(large, context=1024, drafting=drafter, keep_alive=0) as llm:
            draft_always(llm)
            for prompt in [*PROMPTS, *PROMPTS]:
                reply = llm.complete(prompt, **GREEDY, logprobs=1)
                assert reply.timings.tokens_per_step >= least
                tokens = [each.token for each in reply.logprobs]
                assert max(regrets(large, llm.tokenize(prompt), tokens)) < 0.3
                while llm.is_loaded:
                    time.sleep(0.01)


def test_another_vocabulary_is_refused_before_anything_is_written(large: Path, demo_file: Path) -> None:
    with pytest.raises(InvalidOption) as caught:
        SeaLLM(large, context=256, drafting=demo_file)
    assert str(caught.value) == (
        f"{demo_file.name} cannot draft for this model: its vocabulary is another one\n"
        "  use a smaller model of the same family"
    )


def test_wrong_guesses_are_forgotten_and_a_full_context_is_no_error(large: Path) -> None:
    target = resolve(large, LoadOptions(context=256))
    header, plan = target.header, target.plan
    with SeaLLM(large, context=256) as llm, llm._engine.vocabulary() as vocabulary:
        model = DraftModel(header.path, plan, vocabulary)
    try:
        drafter = model.drafter()
        tokens = list(range(40, 60))
        first = drafter.propose(tokens, 4)
        assert len(first) == 4
        wrong = [*tokens, first[0].token, first[1].token ^ 1]
        fresh = model.drafter()
        assert [draft_token.token for draft_token in drafter.propose(wrong, 3)] == [
            draft_token.token for draft_token in fresh.propose(wrong, 3)
        ]
        fresh.close()
        fresh.close()
        assert drafter.propose(list(range(32, 96)) * 5, 4) == []  # behind: it reads on
        for _ in range(20):
            drafter.propose(list(range(32, 96)) * 5, 4)
        assert drafter.propose(list(range(32, 96)) * 5, 4) == []  # 320 tokens do not fit in 256
        taken = [model.drafter() for _ in range(plan.n_sequences + 3)]
        assert taken[-1].propose(tokens, 4) == []
    finally:
        model.close()
        model.close()


def test_a_model_that_does_not_pay_for_its_time_is_given_up(large: Path) -> None:
    target = resolve(large, LoadOptions(context=256))
    header, plan = target.header, target.plan
    with SeaLLM(large, context=256) as llm, llm._engine.vocabulary() as vocabulary:
        model = DraftModel(header.path, plan, vocabulary)
    tokens = list(range(40, 60))
    try:
        for n_resting in (1, 3):  # each time twice as many replies go without, and one more
            drafter = model.drafter()
            draft_tokens = drafter.propose(tokens, 4)
            drafter.learn(draft_tokens, [-0.1] * 4, rate=1.0)  # it took next to no time
            assert len(drafter.propose(tokens, 4)) == 4
            drafter.learn([], [], rate=1e9)
            assert drafter.propose(tokens, 4) == []
            assert [model.drafter().propose(tokens, 4) for _ in range(n_resting)] == [[]] * n_resting
        drafter = model.drafter()
        draft_tokens = drafter.propose(tokens, 4)
        assert len(draft_tokens) == 4
        drafter.learn(draft_tokens, [0.9] * 4, rate=1.0)  # it pays again
        drafter.close()
        assert len(model.drafter().propose(tokens, 4)) == 4
    finally:
        model.close()
