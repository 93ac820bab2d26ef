"""Teacher forcing: the reply is the given text, with and without draft tokens."""

import pytest

from seallm_edge import SeaLLM
from seallm_edge.engine import Request
from seallm_edge.reply import Reply
from seallm_edge.stream import Stream
from support.eager_drafting import draft_always

pytestmark = pytest.mark.slow

TEXT = "nasi dan ikan, ដី និងទឹក, " * 6  # repeated, so that prompt lookup drafts


def forced(llm: SeaLLM, tokens: list[int], *, is_drafted: bool) -> Reply:
    sampling = llm.sampling.replace({"max_tokens": len(tokens)})
    request = Request(llm.tokenize("Say hello."), sampling, forced=tokens, is_drafted=is_drafted)
    return Stream(llm._engine.submit(request), 3).read()


def test_a_forced_reply_is_the_given_text_whatever_the_model_says() -> None:
    with SeaLLM("smollm2-135m-instruct", context=1024) as llm:
        draft_always(llm)
        tokens = llm.tokenize(TEXT)
        plain = forced(llm, tokens, is_drafted=False)
        assert llm.stats().draft_tokens == 0
        drafted = forced(llm, tokens, is_drafted=True)
        assert llm.stats().accepted_tokens > len(tokens) // 2
        assert [reply.text for reply in (plain, drafted)] == [TEXT, TEXT]
        assert [reply.usage.reply_tokens for reply in (plain, drafted)] == [len(tokens)] * 2
        assert plain.timings.tokens_per_step == 1.0
        assert drafted.timings.tokens_per_step > 1.5


def test_behind_the_given_text_the_reply_is_sampled() -> None:
    with SeaLLM("smollm2-135m-instruct", context=512) as llm:
        tokens = llm.tokenize("The capital of Japan is")
        sampling = llm.sampling.replace({"max_tokens": 12, "temperature": 0})
        prompt = llm.tokenize("What is the capital of Japan? ")
        reply = Stream(llm._engine.submit(Request(prompt, sampling, forced=tokens)), 3).read()
        assert reply.text.startswith("The capital of Japan is Tokyo")
