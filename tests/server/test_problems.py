"""Errors as HTTP problems: statuses, and hints that a client or the server's owner can follow."""

from __future__ import annotations

from seallm_edge.errors import ContextOverflow, EngineError, InvalidOption, NotEnoughMemory
from seallm_edge.hints import Command, Hint, Option
from seallm_edge.server.problems import problem_of


def test_what_a_request_can_change_is_a_field_and_the_rest_is_the_owners() -> None:
    error = InvalidOption(
        "x", Hint("give {seed} or {context}", seed=Option("seed", 1), context=Option("context", 4096))
    )
    assert problem_of(error).message == 'x; give "seed": 1 or --context 4096 (on the server)'
    listing = InvalidOption("x", Hint("see {models}, {pull}", models=Command("models"), pull=Command("pull", ("a",))))
    assert problem_of(listing).message == "x; see GET /v1/models, seallm pull a (on the server)"


def test_an_overflow_has_both_numbers_and_what_the_owner_can_do() -> None:
    hint = Hint("shorten it, or give {context}", context=Option("context", 16384))
    problem = problem_of(ContextOverflow(9120, 8192, hint=hint))
    assert (problem.status, problem.code) == (400, "context_length_exceeded")
    assert problem.message == (
        "the prompt is 9,120 tokens but the context holds 8,192; shorten it, or give --context 16384 (on the server)"
    )


def test_memory_may_be_free_later_and_a_failed_engine_is_no_fault_of_the_client() -> None:
    problem = problem_of(NotEnoughMemory("too large", 2, 1, ""))
    assert (problem.status, problem.retry_after) == (503, 30)
    assert problem_of(EngineError("failed")).status == 500
