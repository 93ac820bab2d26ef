"""Figures: medians, spreads, and words."""

import pytest

from seallm_edge.speed import Figure


def test_a_figure_has_its_median_and_spread() -> None:
    figure = Figure.of([3.0, 1.0, 2.5])
    assert (figure.median, figure.low, figure.high) == (2.5, 1.0, 3.0)
    assert figure.words("{:.2f}".format) == ("2.50", "1.00 to 3.00")
    assert figure.scaled(2).samples == (6.0, 2.0, 5.0)


def test_one_sample_has_no_spread() -> None:
    assert Figure.of([2.0]).words("{:.1f}".format) == ("2.0", "")


def test_json_keeps_six_digits_and_the_order() -> None:
    assert Figure.of([0.123456789, 45_678_912_345.0]).as_dict() == {
        "median": 22839500000.0,
        "low": 0.123457,
        "high": 45678900000.0,
        "samples": [0.123457, 45678900000.0],
    }


@pytest.mark.parametrize(
    ("one", "other", "found"), [((1, 2), (2, 3), True), ((1, 2), (2.1, 3), False), ((1, 9), (4, 5), True)]
)
def test_spreads_overlap_or_not(one: tuple[float, ...], other: tuple[float, ...], found: bool) -> None:
    assert Figure.of(one).overlaps(Figure.of(other)) is found
    assert Figure.of(other).overlaps(Figure.of(one)) is found
