"""llama.cpp's context: the KV memory of many sequences, and the step that fills it. Knows token ids, not text."""

from __future__ import annotations

import ctypes
import mmap
import re
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from ..gguf_file.types import TENSOR_TYPES
from ..hints import Hint, Option
from . import log, symbols
from .batch import Batch
from .interruptible import run_interruptibly
from .model import GpuFailed, Model

State = bytes | bytearray | memoryview
# ref: llama.h, llama_decode; and wheel/guard.h
_NO_ROOM, _ABORTED, _INVALID, _LOST = 1, 2, -1, -10
# The driver's own words among llama.cpp's, such as "CUDA error: out of memory" or "vk::Queue::submit: ErrorDeviceLost";
# and what llama.cpp says after each failure.
_DRIVER_ERROR = re.compile(r"\berror: \S|: Error[A-Z]|out of memory")
_AFTER_FAILURE = ("llama_decode:", "removing memory module entries", "failed to compute graph")
_FLASH_ATTENTION = {None: -1, False: 0, True: 1}  # ref: llama.h, enum llama_flash_attn_type


class DecodeAborted(Exception):
    """`abort()` was called during a step: nothing of it happened."""


class NoRoom(EngineError):
    """The KV memory has no cells left for a step: nothing of it happened."""


class Context:
    """KV memory of `n_ctx` cells, shared by `n_sequences` sequences. `close()` frees it and is safe twice.

    `n_batch` is the most tokens of one step, `n_outputs` the most of them whose logits are wanted. A sequence's tokens
    are at positions 0, 1, 2, …; `copy` lets two sequences share cells. `is_batch_invariant` tells that the logits of a
    token have the same bits in any batch and any cells. Raises EngineError if llama.cpp cannot make it.
    """

    def __init__(
        self,
        model: Model,
        *,
        n_ctx: int,
        n_batch: int,
        n_threads: int,
        n_sequences: int = 1,
        n_outputs: int = 1,
        cache_type_k: str = "f16",
        cache_type_v: str = "f16",
        flash_attention: bool | None = None,
        is_batch_invariant: bool = False,
    ) -> None:
        self._llama = llama = symbols.llama_cpp()
        self._model = model
        log.relay().take_complaints()
        self._abort_flag = ctypes.create_string_buffer(64)
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = n_ctx
        parameters.n_batch = parameters.n_ubatch = n_batch
        parameters.n_seq_max = n_sequences
        parameters.kv_unified = True
        parameters.n_outputs_max = max(n_outputs, n_sequences)  # llama.cpp insists on one for each sequence
        parameters.n_threads = parameters.n_threads_batch = n_threads
        parameters.type_k, parameters.type_v = map(_ggml_type, (cache_type_k, cache_type_v))
        parameters.flash_attn_type = _FLASH_ATTENTION[flash_attention]
        parameters.abort_callback = _flag_reader(llama.ggml_abort_callback)
        parameters.abort_callback_data = ctypes.addressof(self._abort_flag)
        parameters.no_perf = True
        self.pointer = run_interruptibly(
            lambda _: llama.llama_init_from_model(model.pointer, parameters),
            discard=lambda pointer: pointer and llama.llama_free(pointer),
        )
        if not self.pointer:
            raise EngineError(
                f"llama.cpp cannot make a context of {n_ctx:,} tokens",
                Hint("give a smaller {context}", context=Option("context")),
                log.relay().take_complaints(),
            )
        self.n_ctx: int = llama.llama_n_ctx(self.pointer)
        self.n_batch = n_batch
        self.n_outputs: int = parameters.n_outputs_max
        self.n_sequences = n_sequences
        self.is_batch_invariant = is_batch_invariant
        self.n_vocab = model.vocabulary.n_tokens
        self._memory = llama.llama_get_memory(self.pointer)
        self._logits_address = symbols.function(
            "llama_get_logits_ith", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32
        )
        self._views: dict[int, NDArray[np.float32]] = {}
        self._batch = Batch(n_batch)

    def decode(self, tokens: Sequence[int], position: int, *, all_logits: bool = False) -> None:
        """Run `tokens` of sequence 0 at `position` and on; logits of the last (or of all) can then be read.

        Raises EngineError, with the KV memory as it was before, if llama.cpp cannot.
        """
        self._batch.clear()
        self._batch.extend(tokens, position, 0, n_logits=len(tokens) if all_logits else 1)
        self.run(self._batch)

    def run(self, batch: Batch) -> None:
        """One step: every row of `batch` through the model. Logits of the rows that want them can then be read.

        Raises DecodeAborted, NoRoom, GpuFailed, or EngineError if llama.cpp cannot; the KV memory is then as it was
        before.
        """
        self._model.check_gpus()
        status = self._llama.llama_decode(self.pointer, batch.struct())
        if status == 0:
            return
        if status == _LOST:
            self._model.lose()
        if status not in (_NO_ROOM, _ABORTED):  # llama.cpp itself takes back what was aborted
            for sequence, position in batch.beginnings().items():
                self.forget(sequence, position)
        complaints = log.relay().take_complaints()
        if status == _ABORTED:
            raise DecodeAborted
        problem = f"llama.cpp could not decode a step of {len(batch)} tokens (code {status})"
        if status == _NO_ROOM:
            raise NoRoom(problem, log_tail=complaints)
        if self._model.n_gpu_layers and status < _INVALID:
            raise GpuFailed(_cause(complaints) or problem)
        raise EngineError(problem, log_tail=complaints)

    def abort(self) -> None:
        """End the running step, or the next one, with DecodeAborted, until `allow()`. Any thread may call it; a GPU
        finishes what it has begun.
        """
        self._abort_flag[0] = b"\1"

    def allow(self) -> None:
        """Let steps run again after `abort()`."""
        self._abort_flag[0] = b"\0"

    def logits(self, index: int = -1) -> NDArray[np.float32]:
        """A view, shape (n_vocab,), of the logits of row `index` of the last step; valid until the next one. It may
        be written to.
        """
        address = self._logits_address(self.pointer, index)
        if not address:
            raise EngineError(f"no logits were kept for token {index} of the last batch")
        view = self._views.get(address)
        if view is None:  # making one costs more than all else here: 0.1 ms after a decode
            memory = memoryview((ctypes.c_float * self.n_vocab).from_address(address))
            if len(self._views) > self.n_outputs:  # llama.cpp has moved its buffer
                self._views.clear()
            view = self._views[address] = np.frombuffer(memory, np.float32)
        return view

    def copy(self, source: int, target: int, n_tokens: int) -> None:
        """Let sequence `target`, which must be empty, begin with the first `n_tokens` cells of `source`."""
        self._llama.llama_memory_seq_cp(self._memory, source, target, 0, n_tokens)

    def forget(self, sequence: int, position: int = 0) -> None:
        """Drop the cells of `sequence` at `position` and after; those that others share stay theirs.

        Raises EngineError, with the sequence emptied, for a model that cannot forget a part.
        """
        if not self._llama.llama_memory_seq_rm(self._memory, sequence, position, -1):
            self._llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)
            raise EngineError("this model cannot forget a part of its context")

    def clear(self) -> None:
        """Drop all cells of all sequences; the next step takes the first ones."""
        self._llama.llama_memory_clear(self._memory, False)

    def state(self, sequence: int) -> memoryview:
        """The KV of `sequence` as bytes: what `restore` takes. Raises GpuFailed where a GPU does not give it."""
        self._model.check_gpus()
        size = self._llama.llama_state_seq_get_size(self.pointer, sequence)
        data = np.frombuffer(_own_pages(size), np.uint8)
        pointer = data.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        written = self._llama.llama_state_seq_get_data(self.pointer, pointer, size, sequence)
        if written != size:
            problem = f"llama.cpp gave {written:,} of {size:,} bytes of a sequence's state"
            if not self._model.n_gpu_layers:
                raise EngineError(problem)
            self._model.lose()
            raise GpuFailed(_cause(log.relay().take_complaints()) or problem)
        return data.data

    def restore(self, sequence: int, state: State) -> bool:
        """Fill `sequence`, which must be empty, with a `state()` of a context like this one; whether there was room."""
        self._model.check_gpus()
        data = np.frombuffer(state, np.uint8)
        pointer = data.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        if self._llama.llama_state_seq_set_data(self.pointer, pointer, len(data), sequence) == len(data):
            return True
        self.forget(sequence)
        return False

    def close(self) -> None:
        """Free the KV memory and the compute buffers; not those of a model that is lost."""
        pointer, self.pointer = self.pointer, None
        self._views.clear()
        if pointer and not self._model.is_lost:
            self._llama.llama_free(pointer)


def _cause(complaints: Sequence[str]) -> str:
    """What llama.cpp's last words tell of a failure; "" for nothing."""
    telling = [line for line in complaints if not any(words in line for words in _AFTER_FAILURE)]
    return next((line for line in telling if _DRIVER_ERROR.search(line)), telling[-1] if telling else "")


def _own_pages(size: int) -> mmap.mmap:
    """Memory of `size` bytes whose pages go back to the system once it is dropped. Blocks of all sizes that come and go
    would leave holes in the allocator's heap, which grows with them.
    """
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _ggml_type(name: str) -> int:
    known = {name.lower(): kind.id for name, kind in TENSOR_TYPES.items()}
    return known[name.lower()]


def _flag_reader(callback_type: Any) -> Any:
    """A native function that says whether the byte it is pointed to is set: C's own strlen, over a text of one letter
    or none. llama.cpp asks it between any two operations of a step, some 450 times a token, so it must not be Python.
    """
    libc = ctypes.cdll.msvcrt if sys.platform == "win32" else ctypes.CDLL(None)
    return ctypes.cast(libc.strlen, callback_type)
