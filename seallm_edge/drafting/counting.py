"""What follows what in a text: for each context its likeliest next token, and how likely that is. Arrays, no files.

Probabilities are those of interpolated absolute discounting: each context takes a little from what it has seen, and
leaves it to the context that is one token shorter. ref: Ney, Essen, Kneser 1994; Chen and Goodman 1998, section 2.5
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .table_file import FACTOR, FOLD, MASK, TERM

_DISCOUNT = 0.75
# Of a mixing function whose bits all depend on all. ref: Steele, Lea, Flood 2014, SplitMix64
_STIR, _SPREAD, _FOLD = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x9E3779B97F4A7C15), np.uint64(29)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass
class Level:
    """All contexts of one length, one element each. `hashes` are those of the table file (u32), `best` the likeliest
    next token with its `confidence`, `n_seen` how often the context came, `parent` its place among those that are one
    token shorter, and `of_parent` how likely the parent's best is here.
    """

    hashes: NDArray[np.uint32]
    best: Ints
    confidence: Floats
    n_seen: Ints
    parent: Ints
    of_parent: Floats

    @property
    def changes(self) -> NDArray[np.bool_]:
        """Whether another token is likeliest here than one token shorter."""
        return self.confidence > self.of_parent


@dataclass
class _Counts:
    """The level below, as far as the next one needs it: contexts by key (sorted), pairs with the next token by key."""

    keys: NDArray[np.uint64]
    best: Ints
    confidence: Floats
    pairs: NDArray[np.uint64]
    probabilities: Floats


def levels(texts: Sequence[Ints], order: int) -> list[Level]:
    """Levels 1 to `order` of token arrays; no context reaches across the border of two texts."""
    tokens, starts = _joined(texts)
    n = len(tokens)
    n_before = np.arange(n) - starts  # tokens of the same text before each
    keys, hashes = np.zeros(n, np.uint64), np.zeros(n, np.uint32)
    below = _unigrams(tokens)
    below_keys = np.zeros(n, np.uint64)
    found = []
    for length in range(1, order + 1):
        with_context = np.flatnonzero(n_before >= length)
        if not len(with_context):
            break
        added = tokens[with_context - length]
        keys[with_context] = _longer_key(keys[with_context], added)
        hashes[with_context] = longer_hash(hashes[with_context], added)
        level, counts = _level(
            keys[with_context], hashes[with_context], below_keys[with_context], tokens[with_context], below
        )
        found.append(level)
        below, below_keys = counts, keys.copy()
    return found


def _joined(texts: Sequence[Ints]) -> tuple[Ints, Ints]:
    """All tokens in one array, and for each where its text begins."""
    lengths = np.array([len(text) for text in texts])
    begins = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return np.concatenate(texts).astype(np.int64), np.repeat(begins, lengths)


def _unigrams(tokens: Ints) -> _Counts:
    unique, counts = np.unique(tokens, return_counts=True)
    probabilities = counts / len(tokens)
    best = int(counts.argmax())
    pairs = _pair(np.zeros(len(unique), np.uint64), unique)
    order = np.argsort(pairs)
    zero = np.zeros(1, np.uint64)
    return _Counts(zero, unique[[best]], probabilities[[best]], pairs[order], probabilities[order])


def _level(
    keys: NDArray[np.uint64],
    hashes: NDArray[np.uint32],
    below_keys: NDArray[np.uint64],
    following: Ints,
    below: _Counts,
) -> tuple[Level, _Counts]:
    pairs, first, counts = np.unique(_pair(keys, following), return_index=True, return_counts=True)
    by_context = np.argsort(keys[first], kind="stable")
    pairs, first, counts = pairs[by_context], first[by_context], counts[by_context]
    contexts, start, n_different = np.unique(keys[first], return_index=True, return_counts=True)
    context = np.repeat(np.arange(len(contexts)), n_different)
    n_seen = np.add.reduceat(counts, start)
    left = _DISCOUNT * n_different / n_seen  # to the shorter context
    shorter = below.probabilities[np.searchsorted(below.pairs, _pair(below_keys[first], following[first]))]
    probabilities = (counts - _DISCOUNT) / n_seen[context] + left[context] * shorter

    likeliest = np.lexsort((pairs, -probabilities, context))[start]
    best, confidence = following[first][likeliest], probabilities[likeliest]
    by_pair = np.argsort(pairs)
    made = _Counts(contexts, best, confidence, pairs[by_pair], probabilities[by_pair])

    parent = np.searchsorted(below.keys, below_keys[first[start]])
    wanted = _pair(contexts, below.best[parent])
    place = np.minimum(np.searchsorted(made.pairs, wanted), len(pairs) - 1)
    was_seen = made.pairs[place] == wanted
    of_parent = np.where(was_seen, made.probabilities[place], left * below.confidence[parent])
    is_inherited = of_parent > confidence  # what was never seen here can be likeliest all the same
    made.best = np.where(is_inherited, below.best[parent], best)
    made.confidence = np.where(is_inherited, of_parent, confidence)
    return Level(hashes[first[start]], made.best, made.confidence, n_seen, parent, of_parent), made


def _pair(keys: NDArray[np.uint64], tokens: Ints) -> NDArray[np.uint64]:
    return _longer_key(keys + np.uint64(1), tokens)


def _longer_key(keys: NDArray[np.uint64], tokens: Ints) -> NDArray[np.uint64]:
    """64 bits, so that no two contexts of a text are taken for one."""
    mixed = (keys ^ (tokens.astype(np.uint64) + np.uint64(1)) * _STIR) * _SPREAD
    return mixed ^ mixed >> _FOLD


def longer_hash(hashes: NDArray[np.uint32], tokens: Ints) -> NDArray[np.uint32]:
    """`table_file.step_hash`, of many at once."""
    factor, term, mask, fold = map(np.uint64, (FACTOR, TERM, MASK, FOLD))
    mixed = (hashes.astype(np.uint64) ^ tokens.astype(np.uint64)) * factor + term & mask
    return (mixed ^ mixed >> fold).astype(np.uint32)
