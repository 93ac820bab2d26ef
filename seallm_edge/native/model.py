"""A GGUF's weights and vocabulary in llama.cpp's memory. Knows nothing of contexts, prompts or sampling."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..gguf_file import read_header
from . import log, symbols
from .backends import load_backends
from .interruptible import OnProgress, run_interruptibly
from .page_residency import PageResidency

_LOST: set[str] = set()  # names of the GPUs that failed in this process, for whatever model
_TOKEN_BUFFER_BYTES = 256  # bytes; a longer one is asked for again with the length that llama.cpp names
_PROBES = range(0, 1 << 17, 128)  # tokens that tell vocabularies apart; rows of padding come after them


class GpuFailed(EngineError):
    """A GPU did not compute a step, for want of memory or because its driver gave up: nothing of the step happened. The
    model can only be closed; where its `is_lost`, what it has on the GPU stays there.
    """


class Model:
    """Weights, memory-mapped, and their `vocabulary`. `close()` frees both and is safe twice.

    `path` is the file, the first of a split set, or all parts in order, whatever their names. `n_gpu_layers` of the
    layers go to the GPUs of the names `gpus`, by default to those that llama.cpp takes; with 0, no GPU is touched. With
    `repack`, ggml lays weights out anew for its fastest kernels: they then lie in this process's own memory, and their
    pages of the file are given back. `on_progress` gets a share from 0 to 1 as loading goes on; what it raises, or a
    signal does, ends the load and frees what is loaded. Raises EngineError with llama.cpp's last words if it refuses
    the file; GpuFailed for a GPU that has failed in this process.
    """

    def __init__(
        self,
        path: Path | Sequence[Path],
        *,
        n_gpu_layers: int = 0,
        gpus: Sequence[str] = (),
        repack: bool = True,
        vocabulary_only: bool = False,
        on_progress: OnProgress | None = None,
    ) -> None:
        load_backends()
        paths = [path] if isinstance(path, Path) else list(path)
        self.path = paths[0]
        self.n_gpu_layers = n_gpu_layers
        self._gpus = frozenset(gpus)
        self.check_gpus()
        self._llama = symbols.llama_cpp()
        log.relay().take_complaints()
        residency = PageResidency(paths) if (repack or n_gpu_layers) and not vocabulary_only else None
        parameters = self._llama.llama_model_default_params()
        parameters.n_gpu_layers = n_gpu_layers
        devices = _devices(gpus if n_gpu_layers else ())
        if gpus or not n_gpu_layers:
            parameters.devices = ctypes.addressof(devices)
        parameters.use_extra_bufts = repack
        parameters.vocab_only = vocabulary_only

        def load(report: OnProgress) -> Any:
            pointer = self._load(paths, parameters, _Loading(residency.watch if residency else None, report))
            if residency:
                residency.settle(pointer)
            return pointer

        self.pointer = run_interruptibly(load, on_progress=on_progress, discard=self._llama.llama_model_free)
        self.vocabulary = Vocabulary(self._llama, self._llama.llama_model_get_vocab(self.pointer))

    def _load(self, paths: Sequence[Path], parameters: Any, loading: _Loading) -> Any:
        llama, names = self._llama, [os.fsencode(path) for path in paths]
        parameters.progress_callback = callback = llama.llama_progress_callback(loading)
        if len(names) == 1:  # llama.cpp finds other parts by their names
            pointer = llama.llama_model_load_from_file(names[0], parameters)
        else:
            array = (ctypes.c_char_p * len(names))(*names)
            pointer = llama.llama_model_load_from_splits(array, len(names), parameters)
        del callback  # it had to live as long as the load
        if loading.error is not None:
            if pointer:
                llama.llama_model_free(pointer)
            raise loading.error
        if not pointer:
            complaints = log.relay().take_complaints()
            raise EngineError(f"llama.cpp cannot load {self.path.name}", "convert or copy the file again", complaints)
        return pointer

    @property
    def is_lost(self) -> bool:
        """Whether a GPU beneath it failed: its driver may not survive that anything is read or freed."""
        return bool(self.n_gpu_layers and (self._gpus & _LOST if self._gpus else _LOST))

    def lose(self) -> None:
        """Leave its GPUs alone from now on, in this process."""
        _LOST.update(self._gpus or [gpu.name for gpu in load_backends().gpus])

    def check_gpus(self) -> None:
        """Raise GpuFailed if it is lost."""
        if self.is_lost:
            raise GpuFailed("the GPU has failed in this program", "start the program again")

    def close(self) -> None:
        """Free the weights, unless they are lost; the vocabulary must not be used after it."""
        pointer, self.pointer = self.pointer, None
        if pointer and not self.is_lost:
            self._llama.llama_model_free(pointer)


@contextlib.contextmanager
def vocabulary_of(path: Path) -> Iterator[Vocabulary]:
    """The vocabulary in a GGUF, without its weights. Raises ModelFileError for what is none, or EngineError."""
    model = Model(read_header(path).path, vocabulary_only=True)
    try:
        yield model.vocabulary
    finally:
        run_interruptibly(lambda _: model.close())


class Vocabulary:
    """Text to token ids and back, by llama.cpp's own tokenizer. Text must be NFC and valid Unicode."""

    def __init__(self, llama: Any, pointer: Any) -> None:
        self._llama = llama
        self._pointer = pointer
        self._pieces: dict[int, bytes] = {}
        self._ends: dict[int, bool] = {}
        self.n_tokens: int = llama.llama_vocab_n_tokens(pointer)
        self.add_bos: bool = bool(llama.llama_vocab_get_add_bos(pointer))
        self.bos: int = llama.llama_vocab_bos(pointer)

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of `text`; control tokens' names become control tokens only with `special`."""
        if not text:
            return []
        data = text.encode("utf-8")
        room = len(data) + 8
        for _ in range(2):
            ids = (ctypes.c_int32 * room)()
            count = self._llama.llama_tokenize(self._pointer, data, len(data), ids, room, False, special)
            if count >= 0:
                return ids[:count]
            room = -count
        raise EngineError(f"llama.cpp cannot tokenize {len(data):,} bytes of text")

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of one token; control tokens have some only with `special`. Raises EngineError for no token."""
        if special:
            return self._ask_piece(token, special=True)
        if token not in self._pieces:
            self._pieces[token] = self._ask_piece(token, special=False)
        return self._pieces[token]

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """The bytes of `tokens`, in order; they need not be whole characters."""
        return b"".join(self.piece(token, special=special) for token in tokens)

    def ends_generation(self, token: int) -> bool:
        """Whether `token` ends a reply."""
        if token not in self._ends:
            self._ends[token] = bool(self._llama.llama_vocab_is_eog(self._pointer, token))
        return self._ends[token]

    @property
    def fingerprint(self) -> str:
        """The same for vocabularies whose tokens mean the same, however many rows of padding follow them."""
        pieces = (self._ask_piece(token, special=True) for token in _PROBES if token < self.n_tokens)
        return hashlib.sha256(b"\0".join(pieces)).hexdigest()[:16]

    def control_token(self, name: str) -> int | None:
        """The id of the one token spelt `name`, such as `<|im_end|>`; None where the model has no such token."""
        ids = self.tokenize(name, special=True)
        return ids[0] if len(ids) == 1 and self.piece(ids[0], special=True) == name.encode() else None

    def _ask_piece(self, token: int, *, special: bool) -> bytes:
        if not 0 <= token < self.n_tokens:
            raise EngineError(f"token {token} is outside the vocabulary of {self.n_tokens:,}")
        room = _TOKEN_BUFFER_BYTES
        for _ in range(2):
            buffer = ctypes.create_string_buffer(room)
            length = self._llama.llama_token_to_piece(self._pointer, token, buffer, room, 0, special)
            if length >= 0:
                return buffer.raw[:length]
            room = -length
        raise EngineError(f"llama.cpp gives no text for token {token}")


def _devices(gpus: Sequence[str]) -> Any:
    """llama.cpp's list of GPUs, which ends with a null pointer. Raises EngineError for one that is not there."""
    find = symbols.function("ggml_backend_dev_by_name", ctypes.c_void_p, ctypes.c_char_p)
    found = [find(name.encode()) for name in gpus]
    if None in found:
        raise EngineError(f"llama.cpp no longer sees the GPU {gpus[found.index(None)]}", "load the model again")
    return (ctypes.c_void_p * (len(found) + 1))(*found)


class _Loading:
    """llama.cpp's progress callback. An exception in a listener stops the load and is kept for the caller."""

    def __init__(self, *listeners: Callable[[float], None] | None) -> None:
        self._listeners = [listener for listener in listeners if listener]
        self.error: BaseException | None = None

    def __call__(self, share: float, _user_data: Any) -> bool:
        try:
            for listener in self._listeners:
                listener(share)
        except BaseException as error:  # noqa: BLE001  it is raised again, past the native frames
            self.error = error
        return self.error is None
