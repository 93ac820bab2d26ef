"""Importance matrices: mean squared activations by column, as llama.cpp's `llama-imatrix` measures them.

Reads its GGUF files and the older .dat ones; the values are bit for bit those that llama-quantize computes from them.
ref: llama.cpp common/imatrix-loader.cpp, tools/quantize/quantize.cpp
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from seallm_edge.errors import ConversionError, InvalidOption, ModelFileError
from seallm_edge.gguf_file import Array, Header, Tensor, encode, read_structure
from seallm_edge.gguf_file.dimensions import EMBEDDING
from seallm_edge.gguf_file.types import MAGIC

if TYPE_CHECKING:
    from seallm_edge.native.quantizer import Floats

_SUMS, _COUNTS = ".in_sum2", ".counts"
_DATASETS = "imatrix.datasets"
_MAX_COUNT = 2**31 - 1
_MAX_ENTRIES = 32_768
_MAX_NAME_BYTES = 255
_MAX_DATASET_BYTES = 1 << 16
_I32 = struct.Struct("<i")
# Embeddings, looked up and not multiplied: llama.cpp accepts an entry of another size for them, and ignores it.
_LOOKED_UP = (EMBEDDING, "per_layer_token_embd.weight")
# ref: llama-quantize's text buffer of 128 bytes, with a NUL at the end
_MAX_TEXT_BYTES = 127
_HINT = "make one of the unquantized model with llama-imatrix"
_AGAIN = "download or copy the file again"


@dataclass(frozen=True)
class Importance:
    """An importance matrix: `values` by tensor name, a number for each column of each expert.

    `datasets` are the names of the measured texts, `chunks` their number of chunks (0 where it is not recorded).
    """

    path: Path
    values: Mapping[str, Floats]
    datasets: tuple[str, ...]
    chunks: int

    @property
    def entries(self) -> int:
        """Number of tensors with values."""
        return len(self.values)

    def check_fits(self, tensors: Mapping[str, tuple[int, ...]]) -> None:
        """Raise ConversionError if the matrix is of another model than these tensors (shapes with the rows first)."""
        if not any(name in tensors for name in self.values):
            problem = f"is of another model: none of its {self.entries:,} entries names a tensor of this one"
            raise ConversionError(f"{self.path.name}: {problem}", _HINT)
        for name, values in self.values.items():
            if name in tensors and name not in _LOOKED_UP and values.size != _n_columns(tensors[name]):
                problem = f"has {values.size:,} values for {name}, which has {_n_columns(tensors[name]):,} columns"
                raise ConversionError(f"{self.path.name}: is of another model: it {problem}", _HINT)

    def fitting(self, tensors: Mapping[str, tuple[int, ...]]) -> dict[str, Floats]:
        """Values of the tensors that have an entry with the right number of columns."""
        return {
            name: values
            for name, values in self.values.items()
            if name in tensors and values.size == _n_columns(tensors[name])
        }

    def metadata(self) -> dict[str, bytes]:
        """GGUF keys that llama-quantize writes about the matrix, in its order, encoded; without the path's folder."""
        keys = {"quantize.imatrix.file": encode.text(_cut(self.path.name))}
        if self.datasets:
            keys["quantize.imatrix.dataset"] = encode.text(_cut(self.datasets[0]))
        keys["quantize.imatrix.entries_count"] = encode.u32(self.entries)
        if self.chunks:
            keys["quantize.imatrix.chunks_count"] = encode.u32(self.chunks)
        return keys


def read_imatrix(path: str | Path) -> Importance:
    """Importance matrix from a file of llama-imatrix, GGUF or .dat.

    Raises InvalidOption for a file that cannot be read, is no importance matrix or damaged, or has impossible values.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
        return _read_gguf(path) if start == MAGIC else _read_dat(path)
    except OSError as error:
        hint = "give the path of a file that llama-imatrix wrote"
        raise InvalidOption(f"importance matrix {path.name}: cannot be read: {error.strerror}", hint) from error


def _read_gguf(path: Path) -> Importance:
    try:
        header = read_structure(path)
    except ModelFileError as error:
        _fail(path, error.problem, _AGAIN)
    pairs = _pairs(header)
    chunks = _number(header, "imatrix.chunk_count")
    _number(header, "imatrix.chunk_size")  # llama-quantize takes no file without it
    datasets = header.metadata.get(_DATASETS)
    if not isinstance(datasets, Array) or datasets.item_type != "string":
        _fail(path, f"lacks {_DATASETS}, a list of texts", _HINT)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        values = {name: _mean(path, name, *(_floats(data, tensor) for tensor in pairs[name])) for name in sorted(pairs)}
    return Importance(path, values, tuple(header.array(_DATASETS)), chunks)


def _pairs(header: Header) -> dict[str, tuple[Tensor, Tensor]]:
    """(tensor of sums, tensor of counts) by the name of the measured tensor."""
    tensors = {tensor.name: tensor for tensor in header.tensors}
    names = {name.removesuffix(suffix) for suffix in (_SUMS, _COUNTS) for name in tensors if name.endswith(suffix)}
    if not names and "general.architecture" in header.metadata:
        _fail(header.path, "is a model, not an importance matrix", _HINT)
    if not names:
        _fail(header.path, "holds no importance of any tensor", _HINT)
    for name in names:
        for suffix in (_SUMS, _COUNTS):
            if f"{name}{suffix}" not in tensors:
                _fail(header.path, f"lacks {name}{suffix}", _AGAIN)
            if tensors[f"{name}{suffix}"].type_name != "F32":
                _fail(header.path, f"{name}{suffix} is {tensors[f'{name}{suffix}'].type_name}, not F32", _HINT)
    return {name: (tensors[f"{name}{_SUMS}"], tensors[f"{name}{_COUNTS}"]) for name in names}


def _number(header: Header, key: str) -> int:
    value = header.metadata.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_COUNT:
        _fail(header.path, f"lacks {key}, a number from 0 to {_MAX_COUNT:,}", _HINT)
    return value


def _mean(path: Path, name: str, sums: Floats, counts: Floats) -> Floats:
    """Mean of squares by column for each expert; 1 for an expert that was never routed to."""
    _check_values(path, name, sums)
    _check_values(path, f"{name}{_COUNTS}", counts)
    if counts.max() > _MAX_COUNT:
        _fail(path, f"{name}{_COUNTS} holds {counts.max():,.0f}, more than {_MAX_COUNT:,}", _AGAIN)
    if sums.size % counts.size:
        _fail(path, f"{name}: {counts.size:,} counts do not go with {sums.size:,} values", _AGAIN)
    # Whole numbers first, halves away from 0, as lround does.
    whole = np.floor(counts.astype(np.float64) + 0.5).astype(np.float32)[:, None]
    by_expert = sums.reshape(counts.size, -1)
    return np.where(whole > 0, by_expert / np.maximum(whole, np.float32(1)), np.float32(1)).ravel()


def _read_dat(path: Path) -> Importance:
    if path.stat().st_size == 0:
        _fail(path, "the file is empty", _AGAIN)
    values: dict[str, Floats] = {}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = _DatReader(path, data)
        for number in range(reader.count("the number of its entries", _MAX_ENTRIES)):
            name, entry = reader.entry(number + 1)
            if name in values:
                _fail(path, f"{name} is there twice", _AGAIN)
            values[name] = entry
        chunks, datasets = reader.trailer()
    return Importance(path, dict(sorted(values.items())), datasets, chunks)


class _DatReader:
    """Reader of a .dat file. The format has no magic number: an implausible count tells that a file is another one."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self._pos = 0

    def number(self, what: str) -> int:
        """The next signed 32-bit number."""
        return int(_I32.unpack(self._take(4, what))[0])

    def count(self, what: str, most: int) -> int:
        """The next number. Raises InvalidOption unless it is 1 to `most`."""
        number = self.number(what)
        if not 1 <= number <= most:
            _fail(self._path, f"is no importance matrix: {what} would be {number:,}", _HINT)
        return number

    def entry(self, number: int) -> tuple[str, Floats]:
        """(tensor name, values) of the next entry."""
        what = f"entry {number:,}"
        raw = self._take(self.count(f"the length of the name of {what}", _MAX_NAME_BYTES), f"the name of {what}")
        name = raw.decode(errors="replace")
        if not name.isprintable() or "\ufffd" in name:
            _fail(self._path, f"is no importance matrix: the name of {what} would be {name!r:.60}", _HINT)
        calls = self.number(f"the calls of {name}")
        n_values = self.count(f"the number of values of {name}", len(self._data))
        sums = np.frombuffer(self._take(4 * n_values, f"the values of {name}"), "<f4").astype(np.float32)
        _check_values(self._path, name, sums)
        return name, sums / np.float32(calls) if calls > 0 else sums

    def trailer(self) -> tuple[int, tuple[str, ...]]:
        """(chunks, datasets), which the oldest files lack."""
        if self._pos == len(self._data):
            return 0, ()
        chunks = self.number("the number of chunks")
        if self._pos == len(self._data):
            return max(chunks, 0), ()
        length = self.number("the length of the dataset's name")
        if length > _MAX_DATASET_BYTES:
            _fail(self._path, f"the name of its dataset would be {length:,} bytes long", _AGAIN)
        name = self._take(max(length, 0), "the dataset's name").partition(b"\0")[0].decode(errors="replace")
        return max(chunks, 0), (name,) if length > 0 else ()

    def _take(self, n: int, what: str) -> bytes:
        taken = self._data[self._pos : self._pos + n]
        if len(taken) < n:
            _fail(self._path, f"cut short: it ends inside {what}", _AGAIN)
        self._pos += n
        return taken


def _floats(data: mmap.mmap, tensor: Tensor) -> Floats:
    return np.frombuffer(data[tensor.offset : tensor.offset + tensor.n_bytes], "<f4").astype(np.float32)


def _check_values(path: Path, name: str, values: Floats) -> None:
    if not np.isfinite(values).all():
        _fail(path, f"{name} holds numbers that are not finite", _HINT)
    if values.min() < 0:
        _fail(path, f"{name} holds a negative number, which no sum of squares is", _HINT)


def _n_columns(shape: tuple[int, ...]) -> int:
    """Columns of a matrix; for stacked experts, those of all experts."""
    return shape[-1] * (shape[-3] if len(shape) > 2 else 1)


def _cut(text: str) -> str:
    """A text cut to 127 bytes, in whole characters."""
    return text.encode(errors="replace")[:_MAX_TEXT_BYTES].decode(errors="ignore")


def _fail(path: Path, problem: str, hint: str) -> NoReturn:
    raise InvalidOption(f"importance matrix {path.name}: {problem}", hint)
