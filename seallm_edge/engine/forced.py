"""`ForcedSampler`: teacher forcing, for benchmarks: the reply is a given text, and takes the time of a sampled one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..native.sampler import Chosen
from .contract import Sampler


class ForcedSampler:
    """Sampler that samples as `sampler` does, and then chooses the next of the tokens `forced`; after the last one,
    what was sampled. `n_prompt` is the number of tokens before the reply.
    """

    def __init__(self, sampler: Sampler, n_prompt: int, forced: Sequence[int]) -> None:
        self._sampler = sampler
        self._n_prompt = n_prompt
        self._forced = forced

    def sample(self, context: Any, index: int, history: Sequence[int]) -> Chosen:
        """Next token of the given text."""
        sampled = self._sampler.sample(context, index, history)
        place = len(history) - self._n_prompt
        return Chosen(self._forced[place]) if place < len(self._forced) else sampled

    def close(self) -> None:
        """Free the sampler. Safe twice."""
        self._sampler.close()
