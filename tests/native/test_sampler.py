"""Our repeat penalty against llama.cpp's own sampler, and the chain as it is built."""

import ctypes
from collections.abc import Iterator

import llama_cpp.llama_cpp as llama
import numpy as np
import pytest

from seallm_edge import Sampling, SeaLLM
from seallm_edge.native.sampler import lower_repeated

N_VOCAB = 500


def native_penalties(logits: np.ndarray, tokens: list[int], penalty: float) -> np.ndarray:
    """`logits` after llama.cpp's penalties sampler has seen `tokens`."""
    data = (llama.llama_token_data * N_VOCAB)(*((i, float(x), 0.0) for i, x in enumerate(logits)))
    candidates = llama.llama_token_data_array(data, N_VOCAB, -1, False)
    sampler = llama.llama_sampler_init_penalties(N_VOCAB, len(tokens), penalty, 0.0, 0.0)
    for token in tokens:
        llama.llama_sampler_accept(sampler, token)
    llama.llama_sampler_apply(sampler, ctypes.byref(candidates))
    llama.llama_sampler_free(sampler)
    return np.array([data[i].logit for i in range(N_VOCAB)], np.float32)


@pytest.mark.parametrize("penalty", [1.05, 0.8, 3.0])
def test_the_repeat_penalty_is_llama_cpps_own(penalty: float) -> None:
    random = np.random.default_rng(1)
    logits = random.normal(0, 5, N_VOCAB).astype(np.float32)
    tokens = [int(token) for token in random.integers(0, N_VOCAB, 64)] + [3, 3, 3]
    expected = native_penalties(logits, tokens, penalty)
    lower_repeated(logits, tokens, penalty)
    np.testing.assert_allclose(logits, expected, rtol=2e-7)


@pytest.fixture
def reply_with(llm: SeaLLM) -> Iterator[object]:
    def reply(**options: object) -> str:
        return llm.chat("Name an animal.", max_tokens=16, **options).text

    return reply


def test_zero_temperature_is_greedy(reply_with) -> None:  # type: ignore[no-untyped-def]
    assert reply_with(temperature=0, seed=1) == reply_with(temperature=0, seed=2)
    assert reply_with(temperature=0) == reply_with(top_k=1, temperature=1)


def test_narrow_choices_are_greedy_too(reply_with) -> None:  # type: ignore[no-untyped-def]
    greedy = reply_with(temperature=0)
    assert reply_with(top_p=0.0, temperature=1) == greedy
    assert reply_with(min_p=1.0, temperature=1) == greedy


def test_a_high_temperature_is_not(reply_with) -> None:  # type: ignore[no-untyped-def]
    assert len({reply_with(temperature=2, top_k=0, seed=seed) for seed in range(4)}) == 4


def test_seeds_at_the_ends_of_their_range_are_fixed_seeds(reply_with) -> None:  # type: ignore[no-untyped-def]
    for seed in (0, 2**32 - 2):
        assert reply_with(seed=seed, temperature=2) == reply_with(seed=seed, temperature=2)


def test_sampling_none_seeds_differ(reply_with) -> None:  # type: ignore[no-untyped-def]
    assert Sampling().seed is None
    assert len({reply_with(temperature=2, top_k=0) for _ in range(3)}) > 1
