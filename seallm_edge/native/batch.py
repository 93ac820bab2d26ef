"""The rows of one step: token, position, sequence, and whether its logits are wanted. Knows no context."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import EngineError
from . import symbols


class Batch:
    """A llama_batch of at most `capacity` rows, over numpy arrays that are allocated once."""

    def __init__(self, capacity: int) -> None:
        llama = symbols.llama_cpp()
        self._capacity = capacity
        self._count = 0
        self._beginnings: dict[int, int] = {}
        self._token = np.zeros(capacity, np.int32)
        self._position = np.zeros(capacity, np.int32)
        self._n_sequences = np.ones(capacity, np.int32)
        self._sequence = np.zeros(capacity, np.int32)
        self._sequences = self._sequence.ctypes.data + 4 * np.arange(capacity, dtype=np.uintp)
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
        self._sequence_of = ctypes.cast(self._sequence.ctypes.data, ctypes.POINTER(ctypes.c_int32))

    def __len__(self) -> int:
        return self._count

    def clear(self) -> None:
        """Take all rows out."""
        self._count = 0
        self._beginnings.clear()

    def add(self, token: int, position: int, sequence: int) -> int:
        """Add a row whose logits are wanted; its index."""
        index = self._count
        self._require(1)
        self._beginnings.setdefault(sequence, position)
        struct = self._struct  # each step of a reply, with cold caches: plain stores cost a tenth of numpy's
        struct.token[index] = token
        struct.pos[index] = position
        self._sequence_of[index] = sequence
        struct.logits[index] = 1
        self._count = index + 1
        return index

    def extend(self, tokens: Sequence[int], position: int, sequence: int, *, n_logits: int) -> int:
        """Add `tokens` at `position` and on; logits are wanted of the last `n_logits`. The index of the last row."""
        start, end = self._count, self._count + len(tokens)
        self._require(len(tokens))
        self._beginnings.setdefault(sequence, position)
        self._token[start:end] = tokens
        self._position[start:end] = self._offsets[: len(tokens)] + position
        self._sequence[start:end] = sequence
        self._wants_logits[start:end] = 0
        self._wants_logits[end - n_logits : end] = 1
        self._count = end
        return end - 1

    def beginnings(self) -> dict[int, int]:
        """For each sequence, the position of its first row."""
        return dict(self._beginnings)

    def struct(self) -> Any:
        """The native llama_batch. Raises EngineError where there are no rows."""
        if not self._count:
            raise EngineError("a step needs at least one token")
        self._struct.n_tokens = self._count
        return self._struct

    def _require(self, count: int) -> None:
        if not 0 < count <= self._capacity - self._count:
            raise EngineError(f"a batch holds 1 to {self._capacity} tokens, not {self._count + count}")
