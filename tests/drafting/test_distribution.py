"""Distribution with drafting at a temperature: that without drafting, over 20,000 continuations of a tiny model."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator

import pytest

from seallm_edge import SeaLLM
from support.eager_drafting import draft_always
from support.tiny_model import write_tiny

pytestmark = pytest.mark.slow


N_SAMPLES, N_TOKENS = 20_000, 3
OPTIONS = {"temperature": 1.0, "top_k": 3, "top_p": 1.0, "min_p": 0.0, "repeat_penalty": 1.0}
PROMPT = "rice rice rice ri"


@pytest.fixture(scope="module")
def drafting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaLLM]:
    """It drafts what it finds likeliest itself, which is right as often as that is chosen."""
    path = tmp_path_factory.mktemp("models") / "tiny.gguf"
    write_tiny(path, quantized=True)
    with SeaLLM(path, context=2048, drafting=path) as llm:
        draft_always(llm)
        yield llm


def expected_shares(llm: SeaLLM) -> dict[tuple[int, ...], float]:
    """How likely each continuation is, by the model's own probabilities at each place."""
    shares: dict[tuple[int, ...], float] = {(): 1.0}
    ended: dict[tuple[int, ...], float] = {}
    prompt = llm._read(PROMPT)[0]
    (end,) = llm.tokenize("<|im_end|>", special=True)
    for _ in range(N_TOKENS):
        longer = {}
        for tokens, share in shares.items():
            options = {"temperature": 0, "max_tokens": 1, "logprobs": 3, "logit_bias": {prompt[0]: 100.0}}
            likeliest = llm._start([*prompt, *tokens], "", None, None, options).read().logprobs[0].top
            total = sum(math.exp(each.logprob) for each in likeliest)
            for each in likeliest:
                where, key = (ended, tokens) if each.token == end else (longer, (*tokens, each.token))
                where[key] = share * math.exp(each.logprob) / total
        shares = longer
    return ended | shares


def test_continuations_come_as_often_as_they_should(drafting: SeaLLM) -> None:
    llm = drafting
    counts: Counter[tuple[int, ...]] = Counter()
    n_guessed = 0.0
    for first in itertools.count(0, 64):
        if counts.total() >= N_SAMPLES:
            break
        for reply in llm.choices(PROMPT, 64, seed=first, max_tokens=N_TOKENS, logprobs=0, **OPTIONS):
            counts[tuple(each.token for each in reply.logprobs[:N_TOKENS])] += 1
            n_guessed += reply.timings.tokens_per_step > 1
    n, shares = counts.total(), expected_shares(llm)
    assert set(counts) <= set(shares)
    assert n_guessed > n / 20, "hardly any draft token was right: nothing was tested"
    likely = {tokens: share for tokens, share in shares.items() if share * n >= 5}
    rest = 1 - sum(likely.values())
    found = [(counts[tokens], share * n) for tokens, share in likely.items()]
    if rest * n >= 5:
        found.append((n - sum(count for count, _ in found), rest * n))
    chi_square = sum((count - expected) ** 2 / expected for count, expected in found)
    freedom = len(found) - 1
    assert freedom >= 5
    # One honest test of a million exceeds this. ref: Wilson and Hilferty 1931
    assert chi_square < freedom * (1 - 2 / (9 * freedom) + 4.75 * math.sqrt(2 / (9 * freedom))) ** 3
