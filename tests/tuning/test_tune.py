"""Tuning from Python, with the demo model."""

from pathlib import Path

from seallm_edge import SeaLLM
from seallm_edge.gguf_file import fingerprint, read_header
from seallm_edge.tuning import saved_settings, tune


def test_a_program_tunes_a_model_and_later_loads_use_what_was_found(demo_file: Path) -> None:
    rounds = []
    tuned = tune("smollm2-135m-instruct", seconds=1, on_round=lambda candidates, default: rounds.append(default))
    assert saved_settings.find(fingerprint(read_header(demo_file))) == tuned
    assert rounds
    with SeaLLM(demo_file, context=256) as llm:
        assert (llm.plan.threads, llm.plan.n_batch) == (tuned.threads, tuned.n_batch)
