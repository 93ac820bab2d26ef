"""Calibration of an n-gram table's probabilities on text that was held back from counting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .counting import Floats, Ints, Level, levels, longer_hash

_HELD_BACK = 10  # one text of so many
_CLASSES = (1, 2, 3, 6)  # times that a context was seen: once, twice, 3 to 5, more
_GRID = np.linspace(0.0, 1.0, 33)
_PRIOR = 20.0  # predictions' worth of believing the probability itself

Calibrated = Callable[[Level], Floats]


def calibrate(texts: Sequence[Ints], order: int) -> Calibrated:
    """Map from a level's probabilities to its acceptance rates, for tables made of all of `texts`."""
    held_back = texts[::_HELD_BACK]
    counted = [text for i, text in enumerate(texts) if i % _HELD_BACK]
    if not counted:
        return lambda level: level.confidence
    curves = _curves(*_checked(levels(counted, order), held_back))

    def calibrated(level: Level) -> Floats:
        kinds = np.searchsorted(_CLASSES, level.n_seen, side="right") - 1
        return np.select(
            [kinds == kind for kind in range(len(_CLASSES))],
            [np.interp(level.confidence, _GRID, curve) for curve in curves],
        )

    return calibrated


def _checked(found: Sequence[Level], texts: Sequence[Ints]) -> tuple[Floats, Ints, Floats]:
    """(probabilities of the predictions in `texts`, how often their contexts were seen, whether they are right)."""
    sure, seen, right = [], [], []
    sorted_levels = [(np.argsort(level.hashes), level) for level in found]
    for text in texts:
        n = len(text)
        hashes, is_there = np.zeros(n, np.uint32), np.ones(n, bool)
        probability, n_seen, prediction = np.zeros(n), np.zeros(n, np.int64), np.full(n, -1)
        for length, (by_hash, level) in enumerate(sorted_levels, 1):
            is_there[:length] = False
            hashes[length:] = longer_hash(hashes[length:], text[: max(n - length, 0)])
            place = by_hash[np.minimum(np.searchsorted(level.hashes, hashes, sorter=by_hash), len(by_hash) - 1)]
            is_there &= level.hashes[place] == hashes
            at = place[is_there]
            probability[is_there], n_seen[is_there] = level.confidence[at], level.n_seen[at]
            prediction[is_there] = level.best[at]
        found_any = prediction >= 0
        sure.append(probability[found_any])
        seen.append(n_seen[found_any])
        right.append((prediction == text)[found_any].astype(float))
    return np.concatenate(sure), np.concatenate(seen), np.concatenate(right)


def _curves(sure: Floats, seen: Ints, right: Floats) -> list[Floats]:
    """For each class the share of right predictions over `_GRID`, which never falls where the probability rises."""
    kinds = np.searchsorted(_CLASSES, seen, side="right") - 1
    bins = np.rint(sure * (len(_GRID) - 1)).astype(np.int64)
    curves = []
    for kind in range(len(_CLASSES)):
        chosen = kinds == kind
        n = np.bincount(bins[chosen], minlength=len(_GRID))
        n_accepted = np.bincount(bins[chosen], weights=right[chosen], minlength=len(_GRID))
        curves.append(_rising((n_accepted + _PRIOR * _GRID) / (n + _PRIOR), n + _PRIOR))
    return curves


def _rising(values: NDArray[np.floating], weights: NDArray[np.floating]) -> Floats:
    """The nearest curve that never falls. ref: pool adjacent violators, Barlow et al. 1972"""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        n = 1
        while pools and pools[-1][0] >= value:
            before, before_weight, before_n = pools.pop()
            value = (value * weight + before * before_weight) / (weight + before_weight)
            weight += before_weight
            n += before_n
        pools.append((value, weight, n))
    return np.concatenate([np.full(n, value) for value, _, n in pools])
