"""Drafting whatever it costs."""

from seallm_edge import SeaLLM


def draft_always(llm: SeaLLM) -> None:
    """Let a model believe that guesses cost nothing, so that it checks as many as it can."""
    speculator = llm._engine._worker._loaded.scheduler._speculation
    for n_rows in [*range(1, 64)] * 16:
        speculator.note_step(n_rows, 1.0)
    speculator.note_step = lambda n_rows, seconds: None
