"""`Writer`: one reply under way: its tokens, the text they make, and when it ends. Knows nothing of KV memory."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..drafting import Drafter
from ..native.sampler import Chosen
from ..reply import FinishReason, TokenLogprob
from ..text.unicode import TextStream
from .contract import Request, Sampler, Vocabulary
from .kv.slots import Slot
from .output_queue import End, Feed, Piece

# A character has 4 bytes of UTF-8 at most, and a token one at least.
_TOKENS_TO_FINISH_A_CHARACTER = 3
_UNLIMITED = 1 << 30


class Writer:
    """Belongs to the worker, but for what a `Ticket` shows its reader.

    `history` holds the prompt and what was chosen after it; the part that `slot` has not decoded yet is pending.
    """

    def __init__(self, request: Request, feed: Feed, clock: Callable[[], float] = time.perf_counter) -> None:
        self.request = request
        self.feed = feed
        self.tokens: list[int] = []
        self.data = bytearray()
        self.logprobs: list[TokenLogprob] = []
        self.cached_tokens = 0
        self.prompt_seconds = 0.0
        self.history: list[int] = list(request.tokens)
        self.slot: Slot | None = None
        self.sampler: Sampler | None = None
        self.drafter: Drafter | None = None
        self.serial = 0  # the order of asking
        self.is_over = False
        self._clock = clock
        self._started = clock()
        self._text = TextStream(request.sampling.stop)
        self._n_steps = self._n_step_tokens = 0  # without those that read its prompt
        self._step_seconds = self._plain_seconds = 0.0

    @property
    def n_pending(self) -> int:
        """Tokens of `history` that are not decoded."""
        return len(self.history) - (len(self.slot.tokens) if self.slot else 0)

    @property
    def pending(self) -> list[int]:
        """They themselves."""
        return self.history[len(self.slot.tokens) if self.slot else 0 :]

    @property
    def is_reproducible(self) -> bool:
        """Whether the reader can tell if another run gives other text: not where the seed is drawn anew each time."""
        sampling = self.request.sampling
        return sampling.temperature == 0 or sampling.seed is not None

    @property
    def tokens_per_step(self) -> float:
        """How many tokens a step brought."""
        return self._n_step_tokens / self._n_steps if self._n_steps else 1.0

    @property
    def drafting_gain(self) -> float:
        """How many times as fast it was written as it would have been without guesses, by what steps cost of late."""
        return self._plain_seconds / self._step_seconds if self._step_seconds else 1.0

    def note_step(self, n_tokens: int, seconds: float, plain_seconds: float) -> None:
        """A step after the prompt took `seconds`, without guesses `plain_seconds`, and it brought `n_tokens`."""
        self._n_steps += n_tokens > 0
        self._n_step_tokens += n_tokens
        self._step_seconds += seconds
        self._plain_seconds += plain_seconds * max(n_tokens, 1)

    def note_prompt_read(self) -> None:
        """The first token is about to be chosen."""
        if not self.tokens and not self.prompt_seconds:
            self.prompt_seconds = self._seconds()

    def take(self, chosen: Chosen, vocabulary: Vocabulary) -> bool:
        """Go on with what was chosen; whether the reply goes on after it."""
        token = chosen.token
        if vocabulary.ends_generation(token):
            return self.finish("stop")
        data = vocabulary.piece(token)
        self.history.append(token)
        self.tokens.append(token)
        self.data += data
        if self.request.sampling.logprobs is not None:
            self.logprobs.append(_logprob(chosen, vocabulary))
        if piece := self._text.feed(data):
            self._give(piece)
        if self._text.stopped:
            return self.finish("stop")
        return self.finish("length") if self._is_long_enough() else True

    def finish(self, reason: FinishReason) -> bool:
        """End the reply; nothing that was held back is lost. Always False."""
        if rest := self._text.finish():
            self._give(rest)
        return self._end(End(reason, len(self.tokens), self._seconds()))

    def fail(self, error: Exception) -> bool:
        """End the reply with an error, after what has come. Always False."""
        return self._end(End(error=error, n_tokens=len(self.tokens), seconds=self._seconds()))

    def drop(self) -> bool:
        """End the reply for a reader who has cancelled it. Always False."""
        return self._end(End())

    @property
    def most_guesses(self) -> int:
        """How many tokens may be written after the next one."""
        limit = self.request.sampling.max_tokens
        return _UNLIMITED if limit is None else max(limit - len(self.tokens) - 1, 0)

    def _give(self, piece: str) -> None:
        self.feed.put(Piece(piece, len(self.tokens), len(self.data), self._seconds()))

    def _end(self, end: End) -> bool:
        self.is_over = True
        if self.sampler:
            self.sampler.close()
            self.sampler = None
        if self.drafter:
            self.drafter.close()
            self.drafter = None
        self.feed.put(end)
        return False

    def _is_long_enough(self) -> bool:
        """Whether `max_tokens` are written. A character that was begun is finished first: in Burmese or Khmer most
        tokens are parts of one, and a cut would leave a broken character more often than not.
        """
        limit = self.request.sampling.max_tokens
        if limit is None or len(self.tokens) < limit:
            return False
        return not self._text.is_midway or len(self.tokens) >= limit + _TOKENS_TO_FINISH_A_CHARACTER

    def _seconds(self) -> float:
        return self._clock() - self._started


def _logprob(chosen: Chosen, vocabulary: Vocabulary) -> TokenLogprob:
    top = (TokenLogprob(token, vocabulary.piece(token, special=True), logprob) for token, logprob in chosen.top)
    return TokenLogprob(chosen.token, vocabulary.piece(chosen.token), chosen.logprob, tuple(top))
