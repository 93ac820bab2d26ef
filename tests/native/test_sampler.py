"""Our repeat penalty compared with llama.cpp's own sampler, the sampler chain, and log probabilities."""

import ctypes
import math
from collections import Counter
from collections.abc import Iterator

import llama_cpp.llama_cpp as llama
import numpy as np
import pytest

from seallm_edge import EngineError, Sampling, SeaLLM
from seallm_edge.native.sampler import LogProbabilities, Sampler, lower_repeated
from support.engine_internals import core_of

N_VOCAB = 500


def native_penalties(
    logits: np.ndarray, tokens: list[int], repeat: float, presence: float = 0.0, frequency: float = 0.0
) -> np.ndarray:
    """`logits` after llama.cpp's penalties sampler has seen `tokens`."""
    data = (llama.llama_token_data * N_VOCAB)(*((i, float(x), 0.0) for i, x in enumerate(logits)))
    candidates = llama.llama_token_data_array(data, N_VOCAB, -1, False)
    sampler = llama.llama_sampler_init_penalties(N_VOCAB, len(tokens), repeat, frequency, presence)
    for token in tokens:
        llama.llama_sampler_accept(sampler, token)
    llama.llama_sampler_apply(sampler, ctypes.byref(candidates))
    llama.llama_sampler_free(sampler)
    return np.array([data[i].logit for i in range(N_VOCAB)], np.float32)


@pytest.mark.parametrize(
    "penalties", [(1.05, 0, 0), (0.8, 0, 0), (3.0, 0, 0), (1.0, 0.5, 0), (1.0, 0, 1.5), (1.1, -2.0, 0.25)]
)
def test_the_penalties_are_llama_cpps_own(penalties: tuple[float, float, float]) -> None:
    random = np.random.default_rng(1)
    logits = random.normal(0, 5, N_VOCAB).astype(np.float32)
    tokens = [int(token) for token in random.integers(0, N_VOCAB, 64)] + [3, 3, 3]
    expected = native_penalties(logits, tokens, *penalties)
    lower_repeated(logits, tokens, *penalties)
    np.testing.assert_allclose(logits, expected, rtol=2e-6)


@pytest.mark.parametrize("name", ["presence_penalty", "frequency_penalty"])
def test_a_penalty_works_without_a_repeat_penalty(llm: SeaLLM, name: str) -> None:
    def tokens(**options: float) -> list[int]:
        reply = llm.complete("la la la", temperature=0, repeat_penalty=1.0, max_tokens=40, logprobs=0, **options)
        return [each.token for each in reply.logprobs]

    assert len(set(tokens())) < len(tokens())
    lowered = tokens(**{name: 100.0})
    assert len(set(lowered)) == len(lowered) >= 40


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


def test_log_probabilities_are_those_before_any_option() -> None:
    values = np.log(np.array([0.5, 0.25, 0.125, 0.125]))
    found = LogProbabilities(values.astype(np.float32) + 7, 2)
    values[:] = 0
    assert found.of(2).logprob == pytest.approx(math.log(0.125), abs=1e-5)
    assert [token for token, _ in found.of(2).top] == [0, 1]
    assert [logprob for _, logprob in found.of(2).top] == pytest.approx([math.log(0.5), math.log(0.25)], abs=1e-5)


def test_equally_likely_tokens_are_listed_by_number() -> None:
    assert [token for token, _ in LogProbabilities(np.zeros(4, np.float32), 4).of(0).top] == [0, 1, 2, 3]


def test_logprobs_come_with_each_token_and_its_place_in_the_text(llm: SeaLLM) -> None:
    reply = llm.chat("What is the capital of Japan?", temperature=0, repeat_penalty=1.0, logprobs=3)
    assert b"".join(each.data for each in reply.logprobs).decode() == reply.text
    assert len(reply.logprobs) == reply.usage.reply_tokens
    for each in reply.logprobs:
        assert each.token == each.top[0].token
        assert each.logprob == each.top[0].logprob <= 0
        assert [one.logprob for one in each.top] == sorted((one.logprob for one in each.top), reverse=True)
        assert sum(math.exp(one.logprob) for one in each.top) <= 1.0001


def test_without_being_asked_for_there_are_no_logprobs(llm: SeaLLM) -> None:
    assert llm.chat("Say hello.", max_tokens=2).logprobs == ()
    assert llm.chat("Say hello.", max_tokens=2, logprobs=0).logprobs[0].top == ()


def test_a_bias_forbids_or_forces_a_token(llm: SeaLLM) -> None:
    tokyo = llm.tokenize(" Tokyo")
    assert len(tokyo) == 1
    question = {"prompt": "What is the capital of Japan?", "temperature": 0, "max_tokens": 12}
    free, bound = (llm.chat(**question, logprobs=0, logit_bias=bias) for bias in ({}, {tokyo[0]: -100}))
    assert tokyo[0] in [each.token for each in free.logprobs]
    assert tokyo[0] not in [each.token for each in bound.logprobs]
    assert bound.text != free.text
    assert llm.chat(**(question | {"max_tokens": 3}), logit_bias={str(tokyo[0]): 100}).text == " Tokyo" * 3


def test_a_bias_on_what_is_no_token_ends_the_reply_with_an_error(llm: SeaLLM) -> None:
    with pytest.raises(EngineError, match="logit_bias names token 99999999, and the vocabulary has 49,152"):
        llm.chat("Say hello.", logit_bias={99_999_999: 1})
    assert llm.chat("Say hello.", max_tokens=2, temperature=0).usage.reply_tokens == 2


def test_choosing_first_and_checking_then_is_distributed_as_masking_first(llm: SeaLLM) -> None:
    """20,000 draws over 8 of 16 tokens: chi-square with 7 degrees of freedom, 24.3 at one in a thousand."""

    class OddOnes:
        def allows(self, token: int) -> bool:
            return token % 2 == 1

        def accept(self, token: int) -> None:
            assert self.allows(token)

        def mask(self, logits: np.ndarray) -> None:
            logits[::2] = -np.inf

    context = core_of(llm)._context
    llm.chat("Say hello.", max_tokens=1)
    row = context.logits(0)
    values = np.full_like(row, -1e9)
    values[:16] = np.log(np.arange(1, 17))
    sampler = Sampler(Sampling(temperature=1.0, top_k=0, repeat_penalty=1.0, seed=3), OddOnes())
    counts: Counter[int] = Counter()
    for _ in range(20_000):
        row[:] = values
        counts[sampler.sample(context, 0, ()).token] += 1
    sampler.close()
    weights = {token: (token + 1) / sum(range(2, 17, 2)) for token in range(1, 16, 2)}
    chi_square = sum((counts[t] - 20_000 * w) ** 2 / (20_000 * w) for t, w in weights.items())
    assert set(counts) == set(weights)
    assert chi_square < 24.3


def test_a_reply_that_the_grammar_leads_nowhere_ends_with_an_error(llm: SeaLLM) -> None:
    class Nothing:
        def allows(self, token: int) -> bool:
            return False

        def mask(self, logits: np.ndarray) -> None:
            logits[:] = -np.inf

    context = core_of(llm)._context
    llm.chat("Say hello.", max_tokens=1)
    sampler = Sampler(Sampling(), Nothing())
    with pytest.raises(EngineError, match="no token of this model can go on from here as the grammar asks"):
        sampler.sample(context, 0, ())
    sampler.close()
