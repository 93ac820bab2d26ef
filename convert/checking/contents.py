"""One pass over a GGUF's bytes: its sha256, and a check that all numbers in its tensors are finite."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np

from seallm_edge.errors import ModelFileError
from seallm_edge.gguf_file import Tensor
from seallm_edge.gguf_file.types import TENSOR_TYPES
from seallm_edge.native import quantizer

from .bounds import dequantized

_SLICE_BYTES = 1 << 20
COPY_AGAIN = "copy or download the file again, or convert it again"


@dataclass(frozen=True)
class Contents:
    """A file's sha256 in hexadecimal digits, and the names of matrices that are all zero."""

    sha256: str
    zeros: tuple[str, ...]


def read_contents(path: Path, tensors: Sequence[Tensor], on_bytes: Callable[[int], None]) -> Contents:
    """Read the GGUF `path`; `tensors` are its tensors in byte order.

    Takes a buffer of 1 MiB whatever the file's size. `on_bytes` gets the number of bytes of each step. Raises
    ModelFileError that names the tensor with a number that is not finite.
    """
    try:
        with FileIO(path) as file:
            reader = _Reader(path, file, on_bytes)
            zeros = [tensor.name for tensor in tensors if _is_zero(path, tensor, reader)]
            reader.skip_to(path.stat().st_size)
            return Contents(reader.sha256.hexdigest(), tuple(zeros))
    except OSError as error:
        raise ModelFileError(path, f"cannot be read: {error.strerror}", "check the disk") from error


class _Reader:
    """Reads a file from its beginning to its end, and hashes all bytes."""

    def __init__(self, path: Path, file: FileIO, on_bytes: Callable[[int], None]) -> None:
        self._path = path
        self._file = file
        self._on_bytes = on_bytes
        self._buffer = np.empty(_SLICE_BYTES, np.uint8)
        self._position = 0
        self.sha256 = hashlib.sha256()

    def slices(self, end: int, unit: int = 1) -> Iterator[quantizer.Bytes]:
        """Bytes up to `end` in slices of whole units; a slice is valid until the next one."""
        most = _SLICE_BYTES // unit * unit
        while self._position < end:
            data = self._buffer[: min(most, end - self._position)]
            self._fill(data.data)
            self.sha256.update(data.data)
            self._position += data.size
            self._on_bytes(data.size)
            yield data

    def skip_to(self, end: int) -> None:
        """Read and hash the bytes up to `end`."""
        for _ in self.slices(end):
            pass

    def _fill(self, target: memoryview) -> None:
        done = 0
        while done < len(target):
            count = self._file.readinto(target[done:])
            if not count:
                raise ModelFileError(self._path, "has become shorter while it was read", COPY_AGAIN)
            done += count


def _is_zero(path: Path, tensor: Tensor, reader: _Reader) -> bool:
    """Whether the tensor is a matrix of zeros. Raises ModelFileError for numbers that are not finite."""
    kind = TENSOR_TYPES[tensor.type_name]
    reader.skip_to(tensor.offset)
    is_zero = len(tensor.shape) > 1
    for data in reader.slices(tensor.offset + tensor.n_bytes, kind.n_bytes):
        if not quantizer.valid(kind, data):
            what = "numbers that are" if kind.block == 1 else "a scale that is"
            raise ModelFileError(path, f"tensor {tensor.name!r} holds {what} not finite", COPY_AGAIN)
        is_zero = is_zero and not dequantized(kind, data).any()
    return is_zero
