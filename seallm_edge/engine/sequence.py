"""One sequence over one context: read a prompt, keep what it shares with the last one, choose tokens.

Knows token ids only: no text, no chat. Not for two threads at once.
"""

from __future__ import annotations

from collections.abc import Generator

from ..native.context import Context
from ..native.sampler import Sampler
from ..sampling import Sampling


class Sequence:
    """The tokens whose KV the context holds, and how to go on from them."""

    def __init__(self, context: Context, chunk_tokens: int) -> None:
        self._context = context
        self._chunk_tokens = chunk_tokens
        self._tokens: list[int] = []
        self._chunk_starts: list[int] = []  # for each token, where the batch began that it was decoded in

    def reusable(self, prompt: list[int]) -> int:
        """How many tokens of `prompt` need no decoding.

        A batch's shape decides the last bits of its numbers, so a prompt that parts from what is here within a batch
        goes back to where that batch began: the same prompt and seed then give the same reply, cached or not.
        """
        most = min(len(self._tokens), len(prompt) - 1)
        shared = next((i for i in range(most) if self._tokens[i] != prompt[i]), most)
        return self._chunk_starts[shared] if shared < len(self._tokens) else shared

    def read(self, prompt: list[int]) -> Generator[int]:
        """Decode `prompt` but for what is reusable; how many of its tokens are done, after each chunk.

        `prompt` must not be empty, and must fit in the context. Logits are ready when the iterator ends.
        """
        kept = self.reusable(prompt)
        del self._tokens[kept:], self._chunk_starts[kept:]
        self._context.forget_from(kept)
        while kept < len(prompt):
            end = min(kept - kept % self._chunk_tokens + self._chunk_tokens, len(prompt))
            self._decode(prompt[kept:end])
            kept = end
            yield kept

    def write(self, sampling: Sampling) -> Generator[int]:
        """Tokens that follow what was read, without end but for that of the context. Each is decoded only when the
        next is asked for, so the last one taken never costs a step.
        """
        sampler = Sampler(sampling)
        try:
            while True:
                token = sampler.sample(self._context, self._tokens)
                yield token
                if len(self._tokens) >= self._context.n_ctx:
                    return
                self._decode([token])
        finally:
            sampler.close()

    def _decode(self, tokens: list[int]) -> None:
        start = len(self._tokens)
        self._context.decode(tokens, start)
        self._tokens += tokens
        self._chunk_starts += [start] * len(tokens)
