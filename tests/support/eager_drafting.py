"""Drafting at any cost, for tests."""

from seallm_edge import SeaLLM
from seallm_edge.drafting import StepCosts
from support.engine_internals import core_of


def draft_always(llm: SeaLLM) -> None:
    """Let a model believe that draft tokens cost nothing, so that it checks as many as it can, until it is closed."""
    with llm._engine.vocabulary():  # which keeps the model loaded meanwhile
        speculator = core_of(llm)._speculation
        speculator.costs = speculator.policy._costs = StepCosts()  # what it believes now is not to be kept
        for n_batch_tokens in [*range(1, 64)] * 16:
            speculator.record_step(n_batch_tokens, 1.0)
        speculator.record_step = lambda n_batch_tokens, seconds: None
