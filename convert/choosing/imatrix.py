"""Importance matrices: which columns of which weights matter, as llama.cpp's `llama-imatrix` measures it.

Reads its GGUF files and the older .dat ones; the values are bit for bit those that llama-quantize computes of them.
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

if TYPE_CHECKING:
    from seallm_edge.native.quantizer import Floats

_SUMS, _COUNTS = ".in_sum2", ".counts"
_DATASETS = "imatrix.datasets"
_MAX_COUNT = 2**31 - 1
_MAX_ENTRIES = 32_768
_MAX_NAME_BYTES = 255
_MAX_DATASET_BYTES = 1 << 16
_I32 = struct.Struct("<i")
# llama.cpp lets the embedding have other sizes and then does without: it is looked up, not multiplied.
_LOOKED_UP = ("token_embd.weight", "per_layer_token_embd.weight")
# What llama-quantize's buffer for such a text holds.
_MAX_TEXT_BYTES = 127
_CURE = "make one of the unquantized model with llama-imatrix"
_AGAIN = "download or copy the file again"


@dataclass(frozen=True)
class Importance:
    """An importance matrix: `values` by tensor name, a number for each column of each expert.

    `datasets` names what it was measured on, in `chunks` pieces (0 where it does not say).
    """

    path: Path
    values: Mapping[str, Floats]
    datasets: tuple[str, ...]
    chunks: int

    @property
    def entries(self) -> int:
        """How many tensors it knows."""
        return len(self.values)

    def check_fits(self, tensors: Mapping[str, tuple[int, ...]]) -> None:
        """Raise ConversionError unless it was measured on a model of these tensors (shapes with the rows first)."""
        if not any(name in tensors for name in self.values):
            problem = f"is of another model: none of its {self.entries:,} entries names a tensor of this one"
            raise ConversionError(f"{self.path.name}: {problem}", _CURE)
        for name, values in self.values.items():
            if name in tensors and name not in _LOOKED_UP and values.size != _n_columns(tensors[name]):
                problem = f"has {values.size:,} values for {name}, which has {_n_columns(tensors[name]):,} columns"
                raise ConversionError(f"{self.path.name}: is of another model: it {problem}", _CURE)

    def fitting(self, tensors: Mapping[str, tuple[int, ...]]) -> dict[str, Floats]:
        """The values of those tensors that it knows and whose columns it has."""
        return {
            name: values
            for name, values in self.values.items()
            if name in tensors and values.size == _n_columns(tensors[name])
        }

    def metadata(self) -> dict[str, bytes]:
        """The keys that llama-quantize writes about it, in its order, encoded for a GGUF; of the path only the name."""
        keys = {"quantize.imatrix.file": encode.text(_cut(self.path.name))}
        if self.datasets:
            keys["quantize.imatrix.dataset"] = encode.text(_cut(self.datasets[0]))
        keys["quantize.imatrix.entries_count"] = encode.u32(self.entries)
        if self.chunks:
            keys["quantize.imatrix.chunks_count"] = encode.u32(self.chunks)
        return keys


def read_imatrix(path: str | Path) -> Importance:
    """The importance matrix in a file of llama-imatrix, GGUF or .dat.

    Raises InvalidOption for a file that cannot be read, is none, is damaged, or holds what no measurement gives.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(4)
        return _read_gguf(path) if start == b"GGUF" else _read_dat(path)
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
        _fail(path, f"lacks {_DATASETS}, a list of texts", _CURE)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        values = {name: _mean(path, name, *(_floats(data, tensor) for tensor in pairs[name])) for name in sorted(pairs)}
    return Importance(path, values, tuple(header.array(_DATASETS)), chunks)


def _pairs(header: Header) -> dict[str, tuple[Tensor, Tensor]]:
    """The tensors of sums and counts, by the tensor that they speak of."""
    tensors = {tensor.name: tensor for tensor in header.tensors}
    names = {name.removesuffix(suffix) for suffix in (_SUMS, _COUNTS) for name in tensors if name.endswith(suffix)}
    if not names and "general.architecture" in header.metadata:
        _fail(header.path, "is a model, not an importance matrix", _CURE)
    if not names:
        _fail(header.path, "holds no importance of any tensor", _CURE)
    for name in names:
        for suffix in (_SUMS, _COUNTS):
            if f"{name}{suffix}" not in tensors:
                _fail(header.path, f"lacks {name}{suffix}", _AGAIN)
            if tensors[f"{name}{suffix}"].type_name != "F32":
                _fail(header.path, f"{name}{suffix} is {tensors[f'{name}{suffix}'].type_name}, not F32", _CURE)
    return {name: (tensors[f"{name}{_SUMS}"], tensors[f"{name}{_COUNTS}"]) for name in names}


def _number(header: Header, key: str) -> int:
    value = header.metadata.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_COUNT:
        _fail(header.path, f"lacks {key}, a number from 0 to {_MAX_COUNT:,}", _CURE)
    return value


def _mean(path: Path, name: str, sums: Floats, counts: Floats) -> Floats:
    """Sums of squares by how many there were, for each expert; 1 for an expert that never had its turn."""
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
    """A position in the bytes of a .dat file, which has no mark of its own: what is no sane number says so."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self._pos = 0

    def number(self, what: str) -> int:
        """The signed number at hand."""
        return int(_I32.unpack(self._take(4, what))[0])

    def count(self, what: str, most: int) -> int:
        """A number from 1 to `most`."""
        number = self.number(what)
        if not 1 <= number <= most:
            _fail(self._path, f"is no importance matrix: {what} would be {number:,}", _CURE)
        return number

    def entry(self, number: int) -> tuple[str, Floats]:
        """(tensor name, values) of the entry at hand."""
        what = f"entry {number:,}"
        raw = self._take(self.count(f"the length of the name of {what}", _MAX_NAME_BYTES), f"the name of {what}")
        name = raw.decode(errors="replace")
        if not name.isprintable() or "\ufffd" in name:
            _fail(self._path, f"is no importance matrix: the name of {what} would be {name!r:.60}", _CURE)
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
        piece = self._data[self._pos : self._pos + n]
        if len(piece) < n:
            _fail(self._path, f"cut short: it ends inside {what}", _AGAIN)
        self._pos += n
        return piece


def _floats(data: mmap.mmap, tensor: Tensor) -> Floats:
    return np.frombuffer(data[tensor.offset : tensor.offset + tensor.n_bytes], "<f4").astype(np.float32)


def _check_values(path: Path, name: str, values: Floats) -> None:
    if not np.isfinite(values).all():
        _fail(path, f"{name} holds numbers that are not finite", _CURE)
    if values.min() < 0:
        _fail(path, f"{name} holds a negative number, which no sum of squares is", _CURE)


def _n_columns(shape: tuple[int, ...]) -> int:
    """Columns of a matrix; of a stack of experts' matrices, all of theirs."""
    return shape[-1] * (shape[-3] if len(shape) > 2 else 1)


def _cut(text: str) -> str:
    """What fits of a text, in whole characters."""
    return text.encode(errors="replace")[:_MAX_TEXT_BYTES].decode(errors="ignore")


def _fail(path: Path, problem: str, hint: str) -> NoReturn:
    raise InvalidOption(f"importance matrix {path.name}: {problem}", hint)
