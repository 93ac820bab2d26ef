"""`ModelDrafter`: guesses from a smaller model of the same vocabulary."""

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
from .contract import Drafter, Guess, Vocabulary

# Of a text that the small model has not read yet, so much is read a step: the replies must not wait for all of it.
_CATCH_UP = 32
# Tokens that asking it may lose in all before a reply goes on without it, and as many are not forgotten that it gained:
# the cumulative sum of Page, Continuous Inspection Schemes, Biometrika 41 (1954).
_PATIENCE = 4.0
_LONGEST_REST = 15  # replies, after it was given up in several that came one after the other
_SOURCE = "model"


class DraftModel:
    """The small model's weights and its context, whose sequences are those of replies. For one thread.

    `vocabulary` is the large model's. Raises EngineError if llama.cpp fails, InvalidOption where the small one's is
    another.
    """

    def __init__(self, path: Path, plan: Plan, vocabulary: Vocabulary) -> None:
        self._n_tokens = vocabulary.n_tokens
        self._model = Model(path, n_gpu_layers=plan.gpu_layers, repack=plan.repack)
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
        """A drafter for one more reply; one that never guesses where all sequences are taken, or where the last replies
        came sooner without.
        """
        if self._rest:
            self._rest -= 1
            return Silent()
        return ModelDrafter(self, self._free.pop()) if self._free else Silent()

    def note_worth(self, is_worth: bool) -> None:
        """Learn whether guessing a reply was worth the time: each time it was not, twice as many go without."""
        self._n_given_up = 0 if is_worth else self._n_given_up + 1
        self._rest = min(2**self._n_given_up - 1, _LONGEST_REST)

    def read(self, tokens: Sequence[int], position: int, sequence: int) -> NDArray[np.float32]:
        """Read `tokens`; the logits after the last, of tokens that the large model has too: the small one may have more
        rows of padding. Raises NoRoom or EngineError.
        """
        self._batch.clear()
        row = self._batch.extend(tokens, position, sequence, n_logits=1)
        self.context.run(self._batch)
        return self.context.logits(row)[: self._n_tokens]

    def give_back(self, sequence: int) -> None:
        """Let another reply have a sequence."""
        if self.context.pointer:
            self.context.forget(sequence)
            self._free.append(sequence)

    def close(self) -> None:
        """Free all. Safe twice."""
        self.context.close()
        self._model.close()


class ModelDrafter(Drafter):
    """What the small model finds likeliest, as sure as it is itself; given up where that does not pay for its time."""

    def __init__(self, model: DraftModel, sequence: int) -> None:
        self._model: DraftModel | None = model
        self._sequence = sequence
        self._read: list[int] = []  # the tokens whose KV is there
        self._n_sure = 0  # of them, those that are no guesses
        self._seconds = 0.0  # that guessing took since it was last heard what it brought
        self._patience = _PATIENCE

    def next(self, tokens: Sequence[int], draft: Sequence[int]) -> Guess | None:
        """The likeliest token; none while the text is still being read, or where the context is full."""
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

    def learn(self, guesses: Sequence[Guess], gains: Sequence[float], rate: float) -> None:
        """Weigh what its own guesses brought against the time they took."""
        if self._model is None:
            return
        gained = sum(gain for guess, gain in zip(guesses, gains, strict=True) if guess.source == _SOURCE)
        self._patience = min(self._patience + gained - self._seconds * rate, 2 * _PATIENCE)
        self._seconds = 0.0
        if self._patience < 0:
            self._model.note_worth(False)
            self.close()
        elif self._patience > _PATIENCE:
            self._model.note_worth(True)

    def close(self) -> None:
        """Give the sequence back. Safe twice."""
        if self._model:
            self._model.give_back(self._sequence)
            self._model = None

    def _rewind(self, tokens: Sequence[int], draft: Sequence[int]) -> None:
        """Forget what was read and is not in the text: wrong guesses. Its last token is read again in any case."""
        assert self._model is not None
        n_tokens, most = len(tokens), min(len(self._read), len(tokens) + len(draft) - 1)
        same = min(self._n_sure, most)
        while same < most and self._read[same] == (tokens[same] if same < n_tokens else draft[same - n_tokens]):
            same += 1
        self._n_sure = min(same, n_tokens)
        if same < len(self._read):
            self._model.context.forget(self._sequence, same)
            del self._read[same:]


class Silent(Drafter):
    """Never guesses."""

    def next(self, tokens: Sequence[int], draft: Sequence[int]) -> None:
        """Nothing."""


def _likeliest(logits: NDArray[np.float32]) -> Guess:
    token = int(logits.argmax())
    share = float(np.exp(logits - logits[token]).sum(dtype=np.float64))
    return Guess(token, 1 / share, _SOURCE)
