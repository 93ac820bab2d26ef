"""Which pages of a model's files stay in this process's memory.

llama.cpp maps whole files and touches every page of them. What it then repacks, or sends to a GPU, lies in memory a
second time, and the mapped original is never read again. On Linux its pages are given back; on other systems they stay
until the kernel wants them.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import EngineError, ModelFileError
from ..gguf_file import Tensor, read_structure, split_name
from ..gguf_file.dimensions import EMBEDDING, OUTPUT
from . import pages, symbols

_GIVE_BACK_EVERY = 0.05  # of the load
_GET_TENSOR = "_ZNK11llama_model10get_tensorEPKc"  # llama_model::get_tensor; no C function tells a tensor's place


class PageResidency:
    """Keeps watch over the files of one model while it loads, and after it."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._parts = _parts(paths[0]) if len(paths) == 1 else tuple(paths)
        self._next = 0.0
        self._tensors = _TensorReading(self._parts)

    def watch(self, share: float) -> None:
        """Give back pages that have been copied, so that loading does not take twice the memory; `share` is done."""
        if share >= self._next:
            pages.release(self._parts)
            self._next = min(share + _GIVE_BACK_EVERY, 1.0)

    def settle(self, model: Any) -> None:
        """Once `model` is loaded: have the pages in memory that are read from now on, and no others.

        Where llama.cpp does not tell what lies where, pages come as they are read.
        """
        mapped = pages.mapped(self._parts)
        try:
            places = list(self._places(model)) if mapped else []
        except (EngineError, ModelFileError):
            return
        copied = {tensor.type_name for tensor, place in places if not any(_is_in(place, whole) for whole in mapped)}
        is_tied = all(tensor.name != OUTPUT for tensor, _ in places)
        wanted = [place for tensor, place in places if _is_wanted(tensor, is_tied, copied)]
        for whole in mapped:
            if copied:
                pages.populate_only(whole, [place for place in wanted if _is_in(place, whole)])
            else:
                pages.populate(whole)

    def _places(self, model: Any) -> Iterator[tuple[Tensor, pages.Range]]:
        """Every tensor with the addresses at which llama.cpp has it, wherever they are."""
        find = symbols.function(_GET_TENSOR, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
        place = symbols.function("ggml_get_data", ctypes.c_void_p, ctypes.c_void_p)
        for tensor in self._tensors.result():
            if start := place(found) if (found := find(model, tensor.name.encode())) else None:
                yield tensor, (start, start + tensor.n_bytes)


class _TensorReading:
    """Tensors in a model's files, read while llama.cpp loads them: a vocabulary of 150,000 tokens takes some time to
    skip.
    """

    def __init__(self, parts: Sequence[Path]) -> None:
        self._found: list[Tensor] = []
        self._error: ModelFileError | None = None
        self._thread = threading.Thread(target=self._read, args=(parts,), daemon=True)
        self._thread.start()

    def result(self) -> list[Tensor]:
        """All tensors, when they are read. Raises ModelFileError if a file has changed to no model."""
        self._thread.join()
        if self._error:
            raise self._error
        return self._found

    def _read(self, parts: Sequence[Path]) -> None:
        try:
            for part in parts:
                self._found += read_structure(part).tensors
        except ModelFileError as error:
            self._error = error


def _is_wanted(tensor: Tensor, is_tied: bool, copied: set[str]) -> bool:
    """False for an embedding that is the output too, where that was copied, as others of its type were: of it, a step
    reads some rows only, which come as they are read.
    """
    return not (tensor.name == EMBEDDING and is_tied and tensor.type_name in copied)


def _is_in(one: pages.Range, whole: pages.Range) -> bool:
    return whole[0] <= one[0] and one[1] <= whole[1]


def _parts(path: Path) -> tuple[Path, ...]:
    """The files of a model of which llama.cpp is told `path` alone: itself, or all parts of a split set."""
    name = split_name(path)
    return tuple(path.with_name(name.part(number)) for number in range(1, name.count + 1)) if name else (path,)
