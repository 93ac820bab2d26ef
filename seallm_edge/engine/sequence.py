"""`ReplySequence`: the tokens of one request, the text they decode to, and when it finishes. Knows no KV cache."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..drafting import Drafter
from ..native.sampler import Chosen
from ..reply import FinishReason, TokenLogprob
from ..text.unicode import TextStream
from .contract import Request, Sampler, Vocabulary
from .kv.slots import Slot
from .output_queue import Finished, OutputQueue, Progress, TextDelta

# A character has 4 bytes of UTF-8 at most, and a token one at least.
_TOKENS_TO_FINISH_A_CHARACTER = 3
_UNLIMITED = 1 << 30


class StepFigures:
    """Decode steps of one reply, those of its prefill left out: tokens in each, and seconds with and without drafts."""

    def __init__(self) -> None:
        self._n_steps = self._n_tokens = 0
        self._seconds = self._baseline_seconds = 0.0
        self._step_baseline: float | None = None
        self._is_first = False  # whether no token of the current step was counted yet

    def begin(self, seconds: float, baseline_seconds: float | None) -> None:
        """Begin a step that took `seconds`; each of its tokens would have taken `baseline_seconds` without drafts. None
        for a step that completes a prefill: it is left out.
        """
        self._seconds += seconds if baseline_seconds is not None else 0.0
        self._step_baseline, self._is_first = baseline_seconds, True

    def count(self, is_end: bool) -> None:
        """Count a token of the current step; the end-of-generation token is no text, but its step takes time."""
        if self._step_baseline is None:
            return
        if self._is_first or not is_end:
            self._baseline_seconds += self._step_baseline
        if not is_end:
            self._n_steps += self._is_first
            self._n_tokens += 1
        self._is_first = False

    @property
    def tokens_per_step(self) -> float:
        """Tokens sampled per decode step."""
        return self._n_tokens / self._n_steps if self._n_steps else 1.0

    @property
    def speedup(self) -> float:
        """Estimated speed relative to decoding without draft tokens."""
        return self._baseline_seconds / self._seconds if self._seconds else 1.0


class ReplySequence:
    """State of one request, owned by the engine's thread; readers see it as a `RequestHandle`.

    `history` holds the prompt's and the sampled tokens; those that `slot` has not decoded yet are pending.
    """

    def __init__(self, request: Request, output: OutputQueue, clock: Callable[[], float] = time.perf_counter) -> None:
        self.request = request
        self.output = output
        self.tokens: list[int] = []
        self.cached_tokens = 0
        self.history: list[int] = list(request.tokens)
        self.slot: Slot | None = None
        self.sampler: Sampler | None = None
        self.drafter: Drafter | None = None
        self.serial = 0  # the order of asking
        self.is_over = False
        self._clock = clock
        self._started = clock()
        self._prefill_seconds = 0.0
        self._text = TextStream(request.sampling.stop)
        self._n_delivered = 0  # of `tokens`; the bytes and log probabilities are of the rest
        self._data = bytearray()
        self._logprobs: list[TokenLogprob] = []
        self._steps = StepFigures()

    @property
    def n_pending(self) -> int:
        """Number of tokens in `history` that are not decoded yet."""
        return len(self.history) - (len(self.slot.tokens) if self.slot else 0)

    @property
    def pending(self) -> list[int]:
        """Tokens of `history` that are not decoded yet."""
        return self.history[len(self.slot.tokens) if self.slot else 0 :]

    @property
    def prompt_share(self) -> float:
        """Share of the prompt that is prefilled, from 0 to 1. Any thread may ask."""
        slot = self.slot
        if self.tokens or self.is_over:
            return 1.0
        return min(len(slot.tokens) / max(len(self.request.tokens), 1), 1.0) if slot else 0.0

    @property
    def is_reproducible(self) -> bool:
        """Whether a rerun must give the same text: greedy, or a fixed seed."""
        sampling = self.request.sampling
        return sampling.temperature == 0 or sampling.seed is not None

    def record_step(self, seconds: float, baseline_seconds: float | None) -> None:
        """Record a step before its tokens are taken, so that their deltas count it: it took `seconds`, and one without
        draft tokens an estimated `baseline_seconds`; None for a step that completes a prefill.
        """
        self._steps.begin(seconds, baseline_seconds)

    def record_prefill(self) -> None:
        """Record that the prompt is prefilled and the first token is about to be sampled."""
        if not self.tokens and not self._prefill_seconds:
            self._prefill_seconds = self._seconds()

    def leave(self) -> None:
        """Leave the model that it ran in: text and sampler stay, all tokens are pending again."""
        self.slot = None
        self._drop_drafter()

    def take(self, chosen: Chosen, vocabulary: Vocabulary) -> bool:
        """Append a sampled token; False if the reply finishes with it."""
        if self.request.sampling.max_tokens == 0:  # the prompt is prefilled, which was all
            return self.finish("length")
        token = chosen.token
        is_end = vocabulary.ends_generation(token)
        self._steps.count(is_end)
        if is_end:
            return self.finish("stop")
        data = vocabulary.piece(token)
        self.history.append(token)
        self.tokens.append(token)
        self._data += data
        if self.request.sampling.logprobs is not None:
            self._logprobs.append(_logprob(chosen, vocabulary))
        if text := self._text.feed(data):
            self.output.put(self._delta(text))
        if self._text.stopped:
            return self.finish("stop")
        return self.finish("length") if self._is_long_enough() else True

    def finish(self, reason: FinishReason) -> bool:
        """Finish the reply and flush held-back text. Always False."""
        if text := self._text.finish():
            self.output.put(self._delta(text))
        return self._end(Finished(reason, self._delta(), stop_text=self._text.stop_text))

    def fail(self, error: Exception) -> bool:
        """Finish the reply with an error, after the text so far. Always False."""
        return self._end(Finished(last=self._delta(), error=error))

    def drop(self) -> bool:
        """Finish a cancelled reply. Always False."""
        return self._end(Finished())

    @property
    def max_draft_tokens(self) -> int:
        """Number of tokens that may still be generated after the next one."""
        limit = self.request.sampling.max_tokens
        return _UNLIMITED if limit is None else max(limit - len(self.tokens) - 1, 0)

    def _delta(self, text: str = "") -> TextDelta:
        """Delta of `text` and of everything that was sampled since the last one."""
        tokens = tuple(self.tokens[self._n_delivered :])
        delta = TextDelta(text, tokens, bytes(self._data), tuple(self._logprobs), self._progress())
        self._n_delivered = len(self.tokens)
        self._data.clear()
        self._logprobs.clear()
        return delta

    def _progress(self) -> Progress:
        steps = self._steps
        return Progress(
            self.cached_tokens, self._prefill_seconds, self._seconds(), steps.tokens_per_step, steps.speedup
        )

    def _end(self, end: Finished) -> bool:
        self.is_over = True
        if self.sampler:
            self.sampler.close()
            self.sampler = None
        self._drop_drafter()
        self.output.put(end)
        return False

    def _drop_drafter(self) -> None:
        drafter, self.drafter = self.drafter, None
        if drafter:
            drafter.close()

    def _is_long_enough(self) -> bool:
        """Whether `max_tokens` is reached. A character that was begun is completed first: most tokens of Burmese or
        Khmer are parts of one, and a cut would leave a broken character more often than not.
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
