"""Figures of a reply's decode steps."""

from seallm_edge.engine.sequence import StepFigures


def test_each_token_would_have_taken_a_step_of_its_own() -> None:
    figures = StepFigures()
    figures.begin(1.5, 1.0)
    for _ in range(3):
        figures.count(is_end=False)
    assert (figures.tokens_per_step, figures.speedup) == (3.0, 2.0)


def test_a_step_that_gives_only_the_end_takes_time_and_has_no_token() -> None:
    figures = StepFigures()
    figures.begin(1.0, 1.0)
    figures.count(is_end=False)
    figures.begin(2.0, 1.0)
    figures.count(is_end=True)
    assert (figures.tokens_per_step, figures.speedup) == (1.0, 2 / 3)


def test_an_end_after_a_token_of_its_step_takes_no_time_of_its_own() -> None:
    figures = StepFigures()
    figures.begin(1.0, 1.0)
    figures.count(is_end=False)
    figures.count(is_end=True)
    assert (figures.tokens_per_step, figures.speedup) == (1.0, 1.0)


def test_a_step_that_completes_a_prefill_is_left_out() -> None:
    figures = StepFigures()
    figures.begin(9.0, None)
    figures.count(is_end=False)
    assert (figures.tokens_per_step, figures.speedup) == (1.0, 1.0)
    figures.begin(1.0, 2.0)
    figures.count(is_end=False)
    figures.begin(9.0, None)  # preempted, and prefilled again
    figures.count(is_end=False)
    assert (figures.tokens_per_step, figures.speedup) == (1.0, 2.0)
