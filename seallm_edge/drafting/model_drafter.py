"""`ModelDrafter`: drafts from a smaller model of the same vocabulary (a draft model)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError, InvalidOption
from ..native.batch import Batch
from ..native.context import Context, NoRoom
from ..native.model import Model
from ..plan import Plan
from .contract import Drafter, DraftToken, Vocabulary

# Prompt tokens that the draft model prefills per step: running sequences must not wait for the whole prompt.
_CATCH_UP = 32
# CUSUM threshold in tokens (Page, Continuous Inspection Schemes, Biometrika 41, 1954): stop using the draft model for a
# sequence once its cumulative net gain falls below minus this; credit is capped at the same amount.
_PATIENCE = 4.0
_MAX_REST = 15  # replies, after it was given up in several that came one after the other
_SOURCE = "model"


class DraftModel:
    """Draft model: its weights, and a context whose sequences are those of replies. For one thread.

    `vocabulary` is the target model's. Raises EngineError if llama.cpp fails, InvalidOption where the draft model's
    vocabulary differs.
    """

    def __init__(self, path: Path, plan: Plan, vocabulary: Vocabulary) -> None:
        self._n_tokens = vocabulary.n_tokens
        self._model = Model(path, n_gpu_layers=plan.gpu_layers, gpus=plan.gpus, repack=plan.repack)
        try:
            if self._model.vocabulary.fingerprint != vocabulary.fingerprint:
                raise InvalidOption(
                    f"{path.name} cannot draft for this model: its vocabulary is another one",
                    "use a smaller model of the same family",
                )
            self.context = Context(
                self._model,
                n_ctx=plan.n_ctx,
                n_batch=max(2 * _CATCH_UP, plan.n_batch),
                n_threads=plan.threads,
                n_sequences=plan.n_sequences,
                flash_attention=plan.flash_attention,
            )
        except BaseException:
            self._model.close()
            raise
        self._batch = Batch(self.context.n_batch)
        self._free = list(range(plan.n_sequences))
        self._n_given_up = 0  # one after the other
        self._rest = 0  # replies

    def drafter(self) -> Drafter:
        """A drafter for one more sequence; a `NoDrafter` if all sequences are taken, or if drafting did not pay
        recently.
        """
        if self._rest:
            self._rest -= 1
            return NoDrafter()
        return ModelDrafter(self, self._free.pop()) if self._free else NoDrafter()

    def record_worth(self, is_worth: bool) -> None:
        """Record whether drafting paid for a sequence: each failure doubles the number of sequences that go without."""
        self._n_given_up = 0 if is_worth else self._n_given_up + 1
        self._rest = min(2**self._n_given_up - 1, _MAX_REST)

    def read(self, tokens: Sequence[int], position: int, sequence: int) -> NDArray[np.float32]:
        """Prefill `tokens`; the logits after the last, cut to the target model's vocabulary (padding rows may differ).
        Raises NoRoom or EngineError.
        """
        self._batch.clear()
        row = self._batch.extend(tokens, position, sequence, n_logits=1)
        self.context.run(self._batch)
        return self.context.logits(row)[: self._n_tokens]

    def give_back(self, sequence: int) -> None:
        """Free a sequence for another reply."""
        if self.context.pointer:
            self.context.forget(sequence)
            self._free.append(sequence)

    def close(self) -> None:
        """Free all memory. Safe twice."""
        self.context.close()
        self._model.close()


class ModelDrafter(Drafter):
    """The draft model's greedy tokens with its own probabilities; stops for a sequence where that does not pay."""

    def __init__(self, model: DraftModel, sequence: int) -> None:
        self._model: DraftModel | None = model
        self._sequence = sequence
        self._read: list[int] = []  # the tokens whose KV is there
        self._n_sure = 0  # of them, those that are no draft tokens
        self._seconds = 0.0  # of drafting since the last feedback
        self._patience = _PATIENCE

    def next(self, tokens: Sequence[int], draft: Sequence[int]) -> DraftToken | None:
        """The likeliest token; None while the text is still being prefilled, or if the context is full."""
        if self._model is None:
            return None
        self._rewind(tokens, draft)
        n_read = len(self._read)
        missing = [*tokens[n_read : n_read + _CATCH_UP], *draft[max(n_read - len(tokens), 0) :]]
        is_behind = n_read + _CATCH_UP < len(tokens)
        if is_behind:
            missing = missing[:_CATCH_UP]
        started = time.perf_counter()
        try:
            logits = self._model.read(missing, n_read, self._sequence)
        except NoRoom:
            return None
        except EngineError:
            self.close()  # a draft is never worth a reply
            return None
        self._read += missing
        if is_behind:
            return None
        if len(missing) < _CATCH_UP:  # more of them is reading the prompt, which is done once
            self._seconds += time.perf_counter() - started
        return _likeliest(logits)

    def learn(self, draft_tokens: Sequence[DraftToken], gains: Sequence[float], rate: float) -> None:
        """Weigh the gains of its own draft tokens against the time they took."""
        if self._model is None:
            return
        gained = sum(
            gain for draft_token, gain in zip(draft_tokens, gains, strict=True) if draft_token.source == _SOURCE
        )
        self._patience = min(self._patience + gained - self._seconds * rate, 2 * _PATIENCE)
        self._seconds = 0.0
        if self._patience < 0:
            self._model.record_worth(False)
            self.close()
        elif self._patience > _PATIENCE:
            self._model.record_worth(True)

    def close(self) -> None:
        """Free its sequence. Safe twice."""
        if self._model:
            self._model.give_back(self._sequence)
            self._model = None

    def _rewind(self, tokens: Sequence[int], draft: Sequence[int]) -> None:
        """Drop KV cells of rejected draft tokens. The text's last token is decoded again in any case."""
        assert self._model is not None
        n_tokens, most = len(tokens), min(len(self._read), len(tokens) + len(draft) - 1)
        same = min(self._n_sure, most)
        while same < most and self._read[same] == (tokens[same] if same < n_tokens else draft[same - n_tokens]):
            same += 1
        self._n_sure = min(same, n_tokens)
        if same < len(self._read):
            self._model.context.forget(self._sequence, same)
            del self._read[same:]


class NoDrafter(Drafter):
    """Drafter that never proposes a token."""

    def next(self, tokens: Sequence[int], draft: Sequence[int]) -> None:
        """None."""


def _likeliest(logits: NDArray[np.float32]) -> DraftToken:
    token = int(logits.argmax())
    share = float(np.exp(logits - logits[token]).sum(dtype=np.float64))
    return DraftToken(token, 1 / share, _SOURCE)
