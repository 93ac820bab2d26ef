"""The choice of the next token, by llama.cpp's own samplers."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from ..sampling import Sampling
from . import symbols
from .context import Context


class Constraint(Protocol):
    """What a reply must look like."""

    def allows(self, token: int) -> bool:
        """Whether `token` may come next."""

    def accept(self, token: int) -> None:
        """Go on after `token`."""

    def mask(self, logits: NDArray[np.float32]) -> None:
        """Set to -inf, in place, what may not come next."""


class Chosen(NamedTuple):
    """A token; where asked for, the logarithm of its probability and the likeliest tokens at its place with theirs."""

    token: int
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """A chain of native samplers for one reply. `close()` frees it and is safe twice.

    With a `constraint`, a token is chosen freely first and checked: most are allowed, and asking about one costs a
    hundredth of asking about all. Only where it is refused are all others masked, and it is chosen again; what comes
    out is distributed as if they had been masked at once.
    """

    def __init__(self, sampling: Sampling, constraint: Constraint | None = None) -> None:
        self._llama = llama = symbols.llama_cpp()
        self._penalties = sampling.repeat_penalty, sampling.presence_penalty, sampling.frequency_penalty
        self._window = sampling.repeat_last_n if self._penalties != (1, 0, 0) else 0
        self._bias = sampling.logit_bias
        self._n_top = sampling.logprobs
        self._constraint = constraint
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

    def sample(self, context: Context, index: int, history: Sequence[int]) -> Chosen:
        """The next token, from the logits at row `index` of the last step, which may be changed by it; `history` holds
        the tokens so far, for the penalties.
        """
        before = LogProbabilities(context.logits(index), self._n_top) if self._n_top is not None else None
        if self._window:
            lower_repeated(context.logits(index), history[-self._window :], *self._penalties)
        if self._bias:
            add_bias(context.logits(index), self._bias)
        token = int(self._llama.llama_sampler_sample(self.pointer, context.pointer, index))
        if self._constraint:
            token = self._constrained(self._constraint, token, context, index)
        return before.of(token) if before else Chosen(token)

    def close(self) -> None:
        """Free the chain."""
        if self.pointer:
            self._llama.llama_sampler_free(self.pointer)
            self.pointer = None

    def _constrained(self, constraint: Constraint, token: int, context: Context, index: int) -> int:
        if not constraint.allows(token):
            logits = context.logits(index)
            constraint.mask(logits)
            if not np.isfinite(logits.max()):
                raise EngineError("no token of this model can go on from here as the grammar asks")
            token = int(self._llama.llama_sampler_sample(self.pointer, context.pointer, index))
        constraint.accept(token)
        return token

    def _add(self, sampler: object) -> None:
        self._llama.llama_sampler_chain_add(self.pointer, sampler)


class LogProbabilities:
    """Logarithms of the probabilities behind `logits`, shape (n_vocab,), which may change later; and the `n_top`."""

    def __init__(self, logits: NDArray[np.float32], n_top: int) -> None:
        self._logits = logits.copy()
        highest = float(self._logits.max())
        self._total = highest + float(np.log(np.exp(self._logits - highest).sum(dtype=np.float64)))
        likeliest = np.argpartition(self._logits, -n_top)[-n_top:] if n_top else np.empty(0, np.int64)
        self._top = tuple((int(t), self._of(int(t))) for t in sorted(likeliest, key=lambda t: (-self._logits[t], t)))

    def of(self, token: int) -> Chosen:
        """`token` with its logarithm and those of the likeliest."""
        return Chosen(token, self._of(token), self._top)

    def _of(self, token: int) -> float:
        return float(self._logits[token]) - self._total


def add_bias(logits: NDArray[np.float32], bias: Mapping[int, float]) -> None:
    """Add `bias` (token → what) to logits, shape (n_vocab,), in place. Raises EngineError for what is no token."""
    values: Any = logits.data
    for token, amount in bias.items():
        if token >= len(logits):
            raise EngineError(f"logit_bias names token {token}, and the vocabulary has {len(logits):,}")
        values[token] += amount


def lower_repeated(
    logits: NDArray[np.float32], tokens: Sequence[int], repeat: float, presence: float = 0.0, frequency: float = 0.0
) -> None:
    """Lower the logits, shape (n_vocab,), of `tokens` in place: by the factor `repeat`, then by `presence`, and by
    `frequency` once for each occurrence.

    What llama.cpp's `penalties` sampler does too, which walks the whole vocabulary for it: 0.7 ms of a 152k-token
    step. A plain loop, because after a decode the caches are cold and each numpy call costs 10 us.
    ref: CTRL, arXiv 1909.05858, section 4.1; llama.cpp, src/llama-sampler.cpp
    """
    values: Any = logits.data
    for token, count in Counter(tokens).items():
        value = values[token]
        values[token] = (value * repeat if value <= 0 else value / repeat) - count * frequency - presence
