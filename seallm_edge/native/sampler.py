"""The choice of the next token, by llama.cpp's own samplers."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from ..sampling import Sampling
from . import symbols
from .context import Context


class Sampler:
    """A chain of native samplers for one reply. `close()` frees it and is safe twice."""

    def __init__(self, sampling: Sampling) -> None:
        self._llama = llama = symbols.llama_cpp()
        self._penalty = sampling.repeat_penalty
        self._window = sampling.repeat_last_n if sampling.repeat_penalty != 1 else 0
        self.pointer = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        if not self.pointer:
            raise EngineError("llama.cpp cannot make a sampler")
        if sampling.temperature == 0:
            self._add(llama.llama_sampler_init_greedy())
            return
        if sampling.top_k:  # first of all: what follows then looks at top_k candidates, not at the whole vocabulary
            self._add(llama.llama_sampler_init_top_k(sampling.top_k))
        if sampling.top_p < 1:
            self._add(llama.llama_sampler_init_top_p(sampling.top_p, 1))
        if sampling.min_p > 0:
            self._add(llama.llama_sampler_init_min_p(sampling.min_p, 1))
        self._add(llama.llama_sampler_init_temp(sampling.temperature))
        seed = secrets.randbits(31) if sampling.seed is None else sampling.seed
        self._add(llama.llama_sampler_init_dist(seed))

    def sample(self, context: Context, history: Sequence[int]) -> int:
        """The next token after the last one decoded; `history` holds the tokens so far, for the repeat penalty."""
        if self._window:
            lower_repeated(context.logits(), history[-self._window :], self._penalty)
        return int(self._llama.llama_sampler_sample(self.pointer, context.pointer, -1))

    def close(self) -> None:
        """Free the chain."""
        if self.pointer:
            self._llama.llama_sampler_free(self.pointer)
            self.pointer = None

    def _add(self, sampler: object) -> None:
        self._llama.llama_sampler_chain_add(self.pointer, sampler)


def lower_repeated(logits: NDArray[np.float32], tokens: Sequence[int], penalty: float) -> None:
    """Lower the logits, shape (n_vocab,), of `tokens` in place, each once, by the factor `penalty`.

    What llama.cpp's `penalties` sampler does too, which walks the whole vocabulary for it: 0.7 ms of a 152k-token
    step. A plain loop, because after a decode the caches are cold and each numpy call costs 10 us.
    ref: CTRL, arXiv 1909.05858, section 4.1
    """
    values: Any = logits.data
    for token in set(tokens):
        value = values[token]
        values[token] = value * penalty if value <= 0 else value / penalty
