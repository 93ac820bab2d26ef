"""Engine statistics, with the real model and without one."""

import pytest

from seallm_edge import EngineStats, ScriptedEngine, SeaLLM
from support.eager_drafting import draft_always

pytestmark = pytest.mark.slow

DEMO = "smollm2-135m-instruct"


def test_stats_count_requests_cells_and_tokens() -> None:
    with SeaLLM(DEMO, context=512, drafting="off") as llm:
        assert llm.stats() == EngineStats(cells=512)
        reply = llm.chat("Say hello.", temperature=0, max_tokens=5)
        stats = llm.stats()
        n_decoded = reply.usage.prompt_tokens + reply.usage.reply_tokens - 1  # the last one is sampled, not decoded
        assert (stats.running, stats.waiting, stats.cached_sequences) == (0, 0, 1)
        assert stats.cells_used == n_decoded
        assert (stats.prefilled_tokens, stats.generated_tokens) == (reply.usage.prompt_tokens, 5)
        assert (stats.draft_tokens, stats.draft_acceptance) == (0, 0.0)
        stream = llm.stream("Tell me a long story.", max_tokens=None)
        next(stream)
        assert llm.stats().running == 1
        stream.cancel()


def test_stats_count_draft_tokens_and_those_accepted() -> None:
    with SeaLLM(DEMO, context=512) as llm:
        draft_always(llm)
        llm.complete("1 2 3 1 2 3 1 2 3 1 2 3", temperature=0, max_tokens=30)
        stats = llm.stats()
        assert 0 < stats.accepted_tokens <= stats.draft_tokens
        assert stats.draft_acceptance == stats.accepted_tokens / stats.draft_tokens


def test_totals_outlive_the_loaded_model_and_cells_do_not() -> None:
    with SeaLLM(DEMO, context=512, drafting="off", keep_alive=0) as llm:
        llm.chat("Say hello.", temperature=0, max_tokens=5)
        while llm.is_loaded:
            pass
        stats = llm.stats()
        assert (stats.cells, stats.cells_used, stats.generated_tokens) == (0, 0, 5)


def test_a_scripted_engine_counts_what_it_wrote() -> None:
    llm = SeaLLM.from_engine(ScriptedEngine(["Halo!"]))
    llm.chat("hi")
    assert llm.stats() == EngineStats(generated_tokens=5)


def test_stats_are_plain_json_values() -> None:
    shown = EngineStats(running=1, draft_tokens=3, accepted_tokens=2).as_dict()
    assert (shown["running"], shown["draft_acceptance"]) == (1, pytest.approx(0.6667))
