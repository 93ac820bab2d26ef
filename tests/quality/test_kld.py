"""Divergence and agreement of distributions small enough to check by hand."""

import math

import numpy as np
import pytest

from seallm_edge.quality.kld import agreement, kl_divergence, log_softmax

HALVES = np.log([[0.5, 0.5], [0.75, 0.25]])
OTHER = np.log([[0.25, 0.75], [0.75, 0.25]])


def test_log_softmax_is_that_of_the_logits_whatever_is_added_to_them() -> None:
    assert np.exp(log_softmax(np.array([[1000.0, 1000.0 + math.log(3)]]))) == pytest.approx(np.array([[0.25, 0.75]]))


def test_divergence_from_itself_is_none() -> None:
    assert kl_divergence(HALVES, HALVES) == 0.0


def test_divergence_is_the_mean_over_positions_weighted_by_the_reference() -> None:
    first = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert kl_divergence(HALVES, OTHER) == pytest.approx(first / 2)
    back = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert kl_divergence(OTHER, HALVES) == pytest.approx(back / 2)


def test_agreement_is_the_share_of_positions_with_the_same_likeliest_token() -> None:
    assert (agreement(HALVES, HALVES), agreement(HALVES, OTHER)) == (1.0, 0.5)
