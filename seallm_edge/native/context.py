"""llama.cpp's context: one sequence's KV memory, and the batch that fills it. Knows token ids, not text."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from . import log, symbols
from .model import Model

_SEQUENCE = 0


class Context:
    """KV memory for `n_ctx` tokens of one sequence. `close()` frees it and is safe twice.

    `n_batch` is the most tokens that one `decode` takes. Raises EngineError if llama.cpp cannot make it.
    """

    def __init__(self, model: Model, *, n_ctx: int, n_batch: int, n_threads: int, n_outputs: int = 1) -> None:
        self._llama = llama = symbols.llama_cpp()
        log.relay().take_complaints()
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = n_ctx
        parameters.n_batch = parameters.n_ubatch = n_batch
        parameters.n_seq_max = 1
        parameters.n_outputs_max = n_outputs
        parameters.n_threads = parameters.n_threads_batch = n_threads
        parameters.no_perf = True
        self.pointer = llama.llama_init_from_model(model.pointer, parameters)
        if not self.pointer:
            raise EngineError(
                f"llama.cpp cannot make a context of {n_ctx:,} tokens",
                "give a smaller --context",
                log.relay().take_complaints(),
            )
        self.n_ctx: int = llama.llama_n_ctx(self.pointer)
        self.n_vocab = model.vocabulary.n_tokens
        self._memory = llama.llama_get_memory(self.pointer)
        self._logits_address = symbols.function(
            "llama_get_logits_ith", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32
        )
        self._viewed_address = 0
        self._view = np.empty(0, np.float32)
        self._batch = _Batch(llama, n_batch)

    def decode(self, tokens: Sequence[int], position: int, *, all_logits: bool = False) -> None:
        """Run `tokens` through the model at `position` and on; logits of the last (or of all) can then be read.

        Raises EngineError, with the KV memory as it was before, if llama.cpp cannot.
        """
        batch = self._batch.fill(tokens, position, all_logits=all_logits)
        status = self._llama.llama_decode(self.pointer, batch)
        if status != 0:
            self.forget_from(position)
            raise EngineError(
                f"llama.cpp could not decode {len(tokens)} tokens at position {position:,} (code {status})",
                log_tail=log.relay().take_complaints(),
            )

    def logits(self, index: int = -1) -> NDArray[np.float32]:
        """A view, shape (n_vocab,), of the logits of the decoded token at `index`; valid until the next decode."""
        address = self._logits_address(self.pointer, index)
        if not address:
            raise EngineError(f"no logits were kept for token {index} of the last batch")
        if address != self._viewed_address:  # making a view costs more than all else here: 0.1 ms after a decode
            self._view = np.frombuffer(memoryview((ctypes.c_float * self.n_vocab).from_address(address)), np.float32)
            self._viewed_address = address
        return self._view

    def forget_from(self, position: int) -> None:
        """Drop the KV cells at `position` and after."""
        if not self._llama.llama_memory_seq_rm(self._memory, _SEQUENCE, position, -1):
            self._llama.llama_memory_clear(self._memory, False)
            if position > 0:
                raise EngineError("this model cannot forget a part of its context")

    def close(self) -> None:
        """Free the KV memory and the compute buffers."""
        if self.pointer:
            self._llama.llama_free(self.pointer)
            self.pointer = None


class _Batch:
    """A llama_batch over numpy arrays that are allocated once."""

    def __init__(self, llama: Any, capacity: int) -> None:
        self._capacity = capacity
        self._token = np.zeros(capacity, np.int32)
        self._position = np.zeros(capacity, np.int32)
        self._n_sequences = np.ones(capacity, np.int32)
        self._sequence = np.full(1, _SEQUENCE, np.int32)
        self._sequences = np.full(capacity, self._sequence.ctypes.data, np.uintp)
        self._wants_logits = np.zeros(capacity, np.int8)
        self._offsets = np.arange(capacity, dtype=np.int32)
        self._struct = llama.llama_batch()
        for name, array in (
            ("token", self._token),
            ("pos", self._position),
            ("n_seq_id", self._n_sequences),
            ("seq_id", self._sequences),
            ("logits", self._wants_logits),
        ):
            field_type = dict(llama.llama_batch._fields_)[name]
            setattr(self._struct, name, ctypes.cast(array.ctypes.data, field_type))

    def fill(self, tokens: Sequence[int], position: int, *, all_logits: bool) -> Any:
        count = len(tokens)
        if not 0 < count <= self._capacity:
            raise EngineError(f"a batch holds 1 to {self._capacity} tokens, not {count}")
        if count == 1:  # each step of a reply, with cold caches: plain stores cost a tenth of numpy's
            self._struct.token[0] = tokens[0]
            self._struct.pos[0] = position
        else:
            self._token[:count] = tokens
            self._position[:count] = self._offsets[:count] + position
            self._wants_logits[:count] = all_logits
        self._struct.logits[count - 1] = 1
        self._struct.n_tokens = count
        return self._struct
