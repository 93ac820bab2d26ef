"""Drafting whatever it costs."""

from seallm_edge import SeaLLM
from seallm_edge.drafting import StepCosts


def draft_always(llm: SeaLLM) -> None:
    """Let a model believe that guesses cost nothing, so that it checks as many as it can, until it is closed."""
    speculator = llm._engine._worker._have_loaded().scheduler._speculation
    speculator.costs = speculator.policy._costs = StepCosts()  # what it believes now is not to be kept
    for n_rows in [*range(1, 64)] * 16:
        speculator.note_step(n_rows, 1.0)
    speculator.note_step = lambda n_rows, seconds: None
