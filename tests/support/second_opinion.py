"""Logits of a reply in an otherwise empty context."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seallm_edge.native.context import Context
from seallm_edge.native.model import Model


def regrets(path: Path, prompt: Sequence[int], reply: Sequence[int]) -> list[float]:
    """For each token of `reply` how far its logit is below the best one, after `prompt` and those before it.

    Beside other replies, rejected draft tokens leave free cells that other sequences reuse, which changes the summation
    order in attention, so near ties fall either way. A greedy reply regrets no more than that; mixed-up KV regrets
    much.
    """
    tokens = [*prompt, *reply]
    model = Model(path)
    context = Context(model, n_ctx=256, n_batch=256, n_threads=2, n_outputs=256)
    try:
        context.decode(tokens, 0, all_logits=True)
        rows = np.array([context.logits(row) for row in range(len(prompt) - 1, len(tokens) - 1)])
        return list(rows.max(axis=1) - rows[np.arange(len(reply)), reply])
    finally:
        context.close()
        model.close()
