"""Pruning of an n-gram table: keeps the contexts with the most correct predictions per byte."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .counting import Floats, Level
from .table_file import Entries

# A context that was seen once comes again less often than one that was seen twice, by more than half.
_SEEN_TOO_OFTEN = 0.75
# Value of a better confidence estimate when the predicted token does not change.
_WORTH_OF_SURENESS = 0.25
_BISECTIONS = 40

Flags = NDArray[np.bool_]


def pruned(found: Sequence[Level], confidence: Sequence[Floats], most: int) -> Entries:
    """At most `most` contexts of `found`, the best ones; the suffixes of a kept context stay too.

    `confidence` holds the calibrated probability of each context's prediction, level by level.
    """
    gains = [_gains(level, sure, before) for level, sure, before in _with_parents(found, confidence)]
    low, high = 0.0, max((float(gain.max(initial=0.0)) for gain in gains), default=0.0)
    kept = _kept(found, gains, 0.0)
    if _n_kept(kept) > most:
        for _ in range(_BISECTIONS):
            price = (low + high) / 2
            kept = _kept(found, gains, price)
            low, high = (price, high) if _n_kept(kept) > most else (low, price)
        kept = _kept(found, gains, high)
    return _entries(found, confidence, kept)


def _with_parents(found: Sequence[Level], confidence: Sequence[Floats]) -> list[tuple[Level, Floats, Floats]]:
    """Each level with its confidences, and those of the contexts that are one token shorter."""
    before = [np.zeros(1), *confidence]
    return [
        (level, sure, before[i][level.parent]) for i, (level, sure) in enumerate(zip(found, confidence, strict=True))
    ]


def _gains(level: Level, sure: Floats, parent_sure: Floats) -> Floats:
    """Correct predictions that a context adds over its suffix, in number of occurrences."""
    surer = np.where(level.changes, sure * (1 - level.of_parent / level.confidence), 0.0)
    known = np.abs(sure - parent_sure) * _WORTH_OF_SURENESS
    gains: Floats = np.maximum(level.n_seen - _SEEN_TOO_OFTEN, 0.0) * np.maximum(surer, known)
    return gains


def _kept(found: Sequence[Level], gains: Sequence[Floats], price: float) -> list[Flags]:
    """Which contexts stay where an entry costs `price`: those whose own gain and that of what needs them exceed it."""
    kept: list[Flags] = [np.zeros(0, bool)] * len(found)
    above = np.zeros(0)
    for i in range(len(found) - 1, -1, -1):
        values = gains[i] - price
        if i + 1 < len(found):
            np.add.at(values, found[i + 1].parent, np.maximum(above, 0.0))
        kept[i] = values > 0
        above = values
    for i in range(1, len(found)):  # a context whose own shorter one was not worth it goes with it
        kept[i] &= kept[i - 1][found[i].parent]
    return kept


def _n_kept(kept: Sequence[Flags]) -> int:
    return sum(int(flags.sum()) for flags in kept)


def _entries(found: Sequence[Level], confidence: Sequence[Floats], kept: Sequence[Flags]) -> Entries:
    has_longer = [np.zeros(len(level.best), bool) for level in found]
    for i in range(1, len(found)):
        has_longer[i - 1][found[i].parent[kept[i]]] = True
    return Entries(
        np.concatenate([level.hashes[flags] for level, flags in zip(found, kept, strict=True)]),
        np.concatenate([level.best[flags] for level, flags in zip(found, kept, strict=True)]),
        np.concatenate([sure[flags] for sure, flags in zip(confidence, kept, strict=True)]),
        np.concatenate([longer[flags] for longer, flags in zip(has_longer, kept, strict=True)]),
    )
