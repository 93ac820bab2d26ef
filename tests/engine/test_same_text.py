"""The same text in any company: alone, beside others, with draft tokens, from cached tokens, after others went away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seallm_edge import SeaLLM
from support.eager_drafting import draft_always

pytestmark = pytest.mark.slow

DEMO = "smollm2-135m-instruct"
PROMPTS = [
    *(f"Tell me a story about {subject}." for subject in ("rice", "a ferry", "the rain", "a lamp", "two cats")),
    "ข้าวหอมมะลิ", "မြန်မာနိုင်ငံ", "ភាសាខ្មែរ", "ພາສາລາວ", "தமிழ் மொழி",
    "Repeat this list: " + ", ".join(f"item {n}" for n in range(60)),  # more than a span of positions, and drafts
    "Continue: " + "one two three four " * 90,  # more than two batches
]  # fmt: skip
OPTIONS = [{"temperature": 0, "max_tokens": 24}, {"temperature": 1.3, "seed": 11, "max_tokens": 24}]


@pytest.fixture(scope="module")
def model() -> Iterator[SeaLLM]:
    with SeaLLM(DEMO, drafting="off") as llm:
        if not llm.plan or not llm.plan.is_batch_invariant:
            pytest.skip("kernels that are not our own round differently in other batches")
        yield llm


@pytest.fixture(scope="module")
def alone(model: SeaLLM) -> list[str]:
    """Each reply by itself."""
    return [model.chat(prompt, **options).text for options in OPTIONS for prompt in PROMPTS]


def together(llm: SeaLLM, order: int = 1) -> list[str]:
    """All replies at once, asked for in this or that order."""
    asked = [(prompt, options) for options in OPTIONS for prompt in PROMPTS][::order]
    streams = [llm.stream(prompt, **options) for prompt, options in asked]
    return [stream.read().text for stream in streams][::order]


@pytest.mark.parametrize("order", [1, -1])
def test_beside_others(model: SeaLLM, alone: list[str], order: int) -> None:
    assert together(model, order) == alone


def test_while_others_are_cancelled(model: SeaLLM, alone: list[str]) -> None:
    """Cells that they leave are taken by others, out of order."""
    others = [model.stream(f"Count from {n}.", temperature=1.5, max_tokens=300) for n in range(6)]
    streams = [model.stream(prompt, **OPTIONS[0]) for prompt in PROMPTS]
    for other in others:
        next(iter(other))
        other.cancel()
    assert [stream.read().text for stream in streams] == alone[: len(PROMPTS)]


def test_with_draft_tokens_of_which_most_are_wrong(alone: list[str]) -> None:
    with SeaLLM(DEMO, drafting="auto") as llm:
        draft_always(llm)
        assert [llm.chat(prompt, **options).text for options in OPTIONS for prompt in PROMPTS] == alone
        assert together(llm) == alone


@pytest.mark.parametrize("settings", [{"threads": 1}, {"threads": 3}, {"context": 1024}])
def test_with_other_settings(alone: list[str], settings: dict[str, int]) -> None:
    with SeaLLM(DEMO, drafting="off", **settings) as llm:
        assert together(llm) == alone


def test_from_cached_tokens(model: SeaLLM) -> None:
    """A second turn, whose first turn was prefilled and generated; and the same messages cold."""
    first = [{"role": "user", "content": PROMPTS[0]}]
    reply = model.chat(first, **OPTIONS[1])
    second = [*first, {"role": "assistant", "content": reply.text}, {"role": "user", "content": "Go on, please."}]
    warm = model.chat(second, **OPTIONS[1])
    assert warm.usage.cached_tokens > 20
    with SeaLLM(DEMO, drafting="off") as llm:
        cold = llm.chat(second, **OPTIONS[1])
    assert (cold.text, cold.usage.cached_tokens) == (warm.text, 0)
