"""Kullback-Leibler divergence of next-token distributions between a quantized model and its reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..native.context import Context

LogProbabilities = NDArray[np.float64]  # a row for each position, a column for each token of the vocabulary


def log_softmax(logits: LogProbabilities) -> LogProbabilities:
    """Log-probabilities along the last axis."""
    shifted: LogProbabilities = logits - logits.max(axis=-1, keepdims=True)
    normalizer: LogProbabilities = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted - normalizer


def log_probabilities(context: Context, tokens: Sequence[int]) -> LogProbabilities:
    """Log-probabilities of the next token after each of `tokens`; `context` is empty and has an output for each."""
    context.decode(list(tokens), 0, all_logits=True)
    return log_softmax(np.stack([context.logits(i) for i in range(len(tokens))]).astype(np.float64))


def kl_divergence(reference: LogProbabilities, other: LogProbabilities) -> float:
    """Mean Kullback-Leibler divergence of `other` from `reference`, in nats a token."""
    return float((np.exp(reference) * (reference - other)).sum(axis=-1).mean())


def agreement(reference: LogProbabilities, other: LogProbabilities) -> float:
    """Share of positions at which both have the same most likely token."""
    return float((reference.argmax(axis=-1) == other.argmax(axis=-1)).mean())
