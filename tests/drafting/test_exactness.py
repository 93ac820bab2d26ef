"""Draft tokens change the speed of a reply, not its text: on the demo model, with a table of other text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from seallm_edge import SeaLLM
from seallm_edge.drafting.build import build
from seallm_edge.drafting.tables import SUFFIX
from seallm_edge.native.model import vocabulary_of
from support.eager_drafting import draft_always
from support.second_opinion import regrets

pytestmark = pytest.mark.slow

DEMO = "smollm2-135m-instruct"
DOCUMENTS = Path(__file__).parents[2] / "docs"
WORDS = ["rice", "a boat", "the rain", "a market", "Jakarta", "Hanoi", "a mango", "the moon", "a teacher", "a song"]
ASKED = ["Tell me about {}.", "Write a poem about {}.", "Repeat three times: {}", "A list about {}:", "What is {}?"]
PROMPTS = [asked.format(word) for asked in ASKED for word in WORDS]
GREEDY = {"temperature": 0, "max_tokens": 14}
SEEDED = {"temperature": 0.8, "seed": 11, "max_tokens": 14}


@pytest.fixture(scope="module")
def models(
    tmp_path_factory: pytest.TempPathFactory, demo_file: Path, shared_cache: Path
) -> Iterator[tuple[SeaLLM, SeaLLM]]:
    """(one that does not draft, one that drafts as much as it can)."""
    home = tmp_path_factory.mktemp("home")
    (home / "draft-tables").mkdir()
    with vocabulary_of(demo_file) as vocabulary:
        table = home / "draft-tables" / f"documents{SUFFIX}"
        build(sorted(DOCUMENTS.glob("*.md")), table, vocabulary.tokenize, vocabulary.fingerprint)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEALLM_HOME", str(home))
        with SeaLLM(DEMO, context=256, drafting="off") as plain, SeaLLM(DEMO, context=256) as drafting:
            draft_always(drafting)
            yield plain, drafting


@pytest.mark.parametrize("options", [GREEDY, SEEDED], ids=["greedy", "seeded"])
def test_the_text_of_50_prompts_is_the_same(models: tuple[SeaLLM, SeaLLM], options: dict[str, float]) -> None:
    plain, drafting = models
    n_fewer_steps = 0
    for prompt in PROMPTS:
        expected, found = plain.chat(prompt, **options), drafting.chat(prompt, **options)
        assert (found.text, found.finish_reason, found.usage) == (
            expected.text, expected.finish_reason, expected.usage,
        )  # fmt: skip
        assert expected.timings.tokens_per_step == 1
        n_fewer_steps += found.timings.tokens_per_step > 1
    assert n_fewer_steps > 7


@pytest.mark.parametrize(
    "options",
    [
        {"repeat_penalty": 1.3},
        {"presence_penalty": 0.5, "frequency_penalty": 0.7},
        {"logit_bias": {" the": -100.0}},
        {"stop": ["a", "."]},
        {"max_tokens": 1},
        {"max_tokens": 2},
        {"max_tokens": 7},
        {"grammar": "root ::= [a-z ]+"},
        {"schema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
        {"logprobs": 2},
        {"top_k": 5, "top_p": 0.7, "min_p": 0.1, "temperature": 1.2, "seed": 3},
    ],
    ids=str,
)
def test_every_option_means_the_same(models: tuple[SeaLLM, SeaLLM], options: dict[str, object], tmp_path: Path) -> None:
    plain, _ = models
    if "logit_bias" in options:
        (token,) = plain.tokenize(" the")
        options = {"logit_bias": {token: -100.0}}
    for prompt in PROMPTS[::7]:
        expected, found = (llm.chat(prompt, **{**GREEDY, **options}) for llm in models)
        assert (found.text, found.finish_reason) == (expected.text, expected.finish_reason)
        assert [each.token for each in found.logprobs] == [each.token for each in expected.logprobs]
        assert [each.logprob for each in found.logprobs] == pytest.approx(
            [each.logprob for each in expected.logprobs], abs=1e-4
        )


def test_together_they_say_what_they_would_alone(models: tuple[SeaLLM, SeaLLM], demo_file: Path) -> None:
    _, drafting = models
    prompts = [f"{prompt} Once upon a time" for prompt in PROMPTS[:3]]  # which they go on from, for as long as they may
    streams = [drafting.complete_stream(prompt, **GREEDY, repeat_penalty=1.0, logprobs=1) for prompt in prompts]
    for prompt, stream in zip(prompts, streams, strict=True):
        tokens = [each.token for each in stream.read().logprobs]
        assert len(tokens) == GREEDY["max_tokens"]
        assert max(regrets(demo_file, drafting.tokenize(prompt), tokens)) < 0.3


def test_the_reply_tells_what_guessing_brought(models: tuple[SeaLLM, SeaLLM]) -> None:
    _, drafting = models
    words = "Repeat this word for word: " + "rice, fish, tea, salt, sugar, milk, " * 3
    reply = drafting.chat(words, temperature=0, repeat_penalty=1.0, max_tokens=60)
    timings = reply.timings
    assert timings.tokens_per_step > 1.2
    assert timings.speedup_in_words == (
        f"{timings.tokens_per_step:.2f} tokens a step by drafting ({timings.speedup:.2f} times as fast), "
    )
    assert reply.as_dict()["timings"]["tokens_per_step"] == timings.tokens_per_step
