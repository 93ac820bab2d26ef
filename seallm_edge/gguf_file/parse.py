"""Parser of a GGUF header, which treats every byte as untrusted.

Knows the format only; `checks` knows the meaning of keys. Arrays are skipped, not kept.
ref: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeAlias

from ..errors import ModelFileError
from ..hints import Command, Hint
from .types import ARRAY, MAGIC, NUMBERS, READ_VERSIONS, STRING, TENSOR_TYPES_BY_ID, VALUE_TYPES, padded

# Limits far above any real model (hundreds of keys, thousands of tensors), so that Python's objects stay small.
MAX_KEYS = 4_096
MAX_TENSORS = 32_768
MAX_KEY_BYTES = 65_535
MAX_NAME_BYTES = 63
MAX_DIMS = 4
MAX_ELEMENTS = 2**63 - 1
TEXT_BYTES_KEPT = 1 << 20

_CONVERT = Command("convert", ("FOLDER",))
LOOKS_LIKE: dict[bytes, tuple[str, Hint | str]] = {  # first bytes of other files that users give: (problem, hint)
    b"FUGG": ("a big-endian GGUF, and only little-endian ones can be run", "convert the model again on this computer"),
    b"tjgg": ("a GGML file from before 2023-08, not a GGUF", "convert the model again from its checkpoint"),
    b"lmgg": ("a GGML file from before 2023-08, not a GGUF", "convert the model again from its checkpoint"),
    b"PK\x03\x04": (
        "a zip or PyTorch file, not a GGUF",
        Hint("convert a checkpoint with: {convert}", convert=_CONVERT),
    ),
    b"version https://git-lfs": ("a Git LFS pointer, not the model itself", "fetch the file: git lfs pull"),
    b"<!DOCTYPE": ("a web page, not a GGUF", "download the file itself, not its page"),
}

_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_FORMATS = {kind: struct.Struct("<" + letter) for kind, (_, letter) in NUMBERS.items()}


@dataclass(frozen=True, slots=True)
class Array:
    """Array that stays in the file: `count` items of `item_type`, the first at byte `offset`."""

    item_type: str
    count: int
    offset: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """Tensor in the file: `shape` with the row length first, `type` a ggml type, `offset` and `n_bytes` in the file.

    In a split model, `part` is the number of its file, from 0.
    """

    name: str
    shape: tuple[int, ...]
    type: int
    type_name: str
    offset: int
    n_bytes: int
    part: int = 0

    @property
    def n_elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


class Place(NamedTuple):
    """Location of a key's value in the file, with its type: bytes `start` to `end`."""

    value_type: str
    start: int
    end: int


Value: TypeAlias = bool | int | float | str | Array


class Walker:
    """Parser position in a mapped file; reading moves it. Every method may raise ModelFileError."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.pos = 0
        self.places: dict[str, Place] = {}
        self._text_bytes_left = TEXT_BYTES_KEPT

    def fail(self, problem: str, hint: Hint | str = "") -> NoReturn:
        """Raise ModelFileError with this problem."""
        raise ModelFileError(self.path, problem, hint)

    def preamble(self) -> tuple[int, int, int]:
        """(version, number of tensors, number of keys), after a check of magic, version and counts."""
        self._check_magic()
        version = self.number(_U32)
        if version & 0xFFFF == 0 and version:
            self.fail(*LOOKS_LIKE[b"FUGG"])
        if version not in READ_VERSIONS:
            known = " and ".join(map(str, READ_VERSIONS))
            self.fail(f"GGUF version {version}, and only {known} can be run", "convert the model again")
        n_tensors, n_keys = self.number(_U64), self.number(_U64)
        if n_tensors > MAX_TENSORS or n_keys > MAX_KEYS:
            self.fail(f"its header speaks of {n_tensors:,} tensors and {n_keys:,} keys, which no model has")
        return version, n_tensors, n_keys

    def metadata(self, n_keys: int) -> dict[str, Value]:
        """Metadata by key; arrays, and texts past the first MiB in all, stay in the file. Fills `places`."""
        found: dict[str, Value] = {}
        for _ in range(n_keys):
            key = self.text(f"key {len(found)}", MAX_KEY_BYTES)
            if key in found:
                self.fail(f"key {key!r} is there twice")
            start = self.pos
            found[key] = self.value(key)
            kind = _U32.unpack_from(self.data, start)[0]
            self.places[key] = Place(VALUE_TYPES[kind], start, self.pos)
        return found

    def tensors(self, n_tensors: int, alignment: int) -> tuple[tuple[Tensor, ...], int]:
        """(tensors, offset of their data), checked to lie in the file without gap or overlap."""
        infos = [self.tensor_info(f"tensor {index}") for index in range(n_tensors)]
        names = {name for name, *_ in infos}
        if len(names) < n_tensors:
            repeated = next(n for n in names if sum(n == name for name, *_ in infos) > 1)
            self.fail(f"tensor {repeated!r} is there twice")
        start = padded(self.pos, alignment) if n_tensors else self.pos
        expected = 0
        tensors = []
        for name, shape, kind, offset in infos:
            n_bytes = self.size(name, shape, kind)
            self.check_offset(name, offset, expected, alignment)
            if start + offset + n_bytes > len(self.data):
                missing = start + offset + n_bytes - len(self.data)
                self.fail(f"cut short: tensor {name!r} ends {missing:,} bytes past the end of the file")
            tensors.append(Tensor(name, shape, kind, TENSOR_TYPES_BY_ID[kind].name, start + offset, n_bytes))
            expected = padded(offset + n_bytes, alignment)
        return tuple(tensors), start

    def value(self, key: str) -> Value:
        """Parse the next value, of the type before it."""
        kind = self.number(_U32)
        if kind == STRING:
            length = self.length(f"{key!r}")
            if length > self._text_bytes_left:
                self.pos += length
                return Array("uint8", length, self.pos - length)
            self._text_bytes_left -= length
            return self.decoded(length, f"the text of {key!r}")
        if kind == ARRAY:
            return self.array(key)
        if kind not in NUMBERS:
            self.fail(f"{key!r} has value type {kind}, which GGUF has not")
        return self.number(_FORMATS[kind])

    def array(self, key: str) -> Array:
        """Parse the next array, and skip its items."""
        kind, count = self.number(_U32), self.number(_U64)
        start = self.pos
        if kind == STRING:
            self.pos = self.past_strings(key, count)
            return Array("string", count, start)
        if kind not in NUMBERS:
            what = "an array of arrays" if kind == ARRAY else f"an array of value type {kind}"
            self.fail(f"{key!r} is {what}, which llama.cpp cannot read")
        n_bytes = count * _FORMATS[kind].size
        if n_bytes > len(self.data) - start:
            self.fail(f"{key!r} says it has {count:,} items, more than the file holds")
        self.pos = start + n_bytes
        return Array(NUMBERS[kind][0], count, start)

    def past_strings(self, key: str, count: int) -> int:
        """Offset of the end of an array of `count` strings."""
        data, pos, end, unpack = self.data, self.pos, len(self.data), _U64.unpack_from
        if count > (end - pos) // _U64.size:
            self.fail(f"{key!r} says it has {count:,} texts, more than the file holds")
        try:
            for _ in range(count):
                pos += 8 + unpack(data, pos)[0]
        except (struct.error, OverflowError):
            self.fail(f"cut short inside {key!r}")
        if pos > end:
            self.fail(f"cut short inside {key!r}")
        return pos

    def tensor_info(self, what: str) -> tuple[str, tuple[int, ...], int, int]:
        """(name, shape, ggml type, offset from the start of the data) of the next tensor."""
        name = self.text(f"the name of {what}", MAX_NAME_BYTES)
        n_dims = self.number(_U32)
        if not 1 <= n_dims <= MAX_DIMS:
            self.fail(f"tensor {name!r} has {n_dims} dimensions; 1 to {MAX_DIMS} can be")
        shape = tuple(self.number(_U64) for _ in range(n_dims))
        return name, shape, self.number(_U32), self.number(_U64)

    def size(self, name: str, shape: tuple[int, ...], kind: int) -> int:
        """Bytes of a tensor of this shape and ggml type."""
        if kind not in TENSOR_TYPES_BY_ID:
            self.fail(f"tensor {name!r} has type {kind}, which this llama.cpp has not")
        stored = TENSOR_TYPES_BY_ID[kind]
        n_elements = math.prod(shape)
        if not 0 < n_elements <= MAX_ELEMENTS:
            self.fail(f"tensor {name!r} has the impossible shape {shape}")
        if not stored.divides(shape[0]):
            blocks = f"blocks of {stored.block} ({stored.name})"
            self.fail(f"tensor {name!r} has rows of {shape[0]}, which {blocks} do not divide")
        return stored.row_bytes(n_elements)

    def check_offset(self, name: str, offset: int, expected: int, alignment: int) -> None:
        """Raise ModelFileError unless the tensor starts at the end of the one before it."""
        if offset % alignment:
            self.fail(f"tensor {name!r} starts at {offset:,}, which is no multiple of {alignment}")
        if offset < expected:
            self.fail(f"tensor {name!r} overlaps the one before it")
        if offset > expected:
            self.fail(f"tensor {name!r} starts at {offset:,}, not at {expected:,} where the one before it ends")

    def number(self, form: struct.Struct) -> int:
        """Parse the next number; floats and booleans by their formats."""
        try:
            (value,) = form.unpack_from(self.data, self.pos)
        except struct.error:
            self.fail(f"cut short: the header goes on past the end of the file ({len(self.data):,} bytes)")
        self.pos += form.size
        return value  # type: ignore[no-any-return]

    def text(self, what: str, limit: int) -> str:
        """Parse the next text, of 1 to `limit` bytes, without a NUL, which ends llama.cpp's texts."""
        length = self.length(what)
        if not 1 <= length <= limit:
            self.fail(f"{what} is {length:,} bytes long; 1 to {limit:,} can be")
        text = self.decoded(length, what)
        if "\0" in text:
            self.fail(f"{what} is {text!r}, with a zero in it")
        return text

    def length(self, what: str) -> int:
        """Parse the length of the next text, and check that the text lies inside the file."""
        length = self.number(_U64)
        if length > len(self.data) - self.pos:
            self.fail(f"{what} is {length:,} bytes long, more than the file holds")
        return length

    def decoded(self, length: int, what: str) -> str:
        """Decode the next `length` bytes as UTF-8."""
        raw = self.data[self.pos : self.pos + length]
        self.pos += length
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self.fail(f"{what} is not UTF-8")

    def _check_magic(self) -> None:
        start = self.data[:32]
        if start.startswith(MAGIC):
            self.pos = len(MAGIC)
            return
        for prefix, (problem, hint) in LOOKS_LIKE.items():
            if start.startswith(prefix):
                self.fail(problem, hint)
        if not any(start):
            self.fail("starts with zeros: its download or copy did not finish")
        self.fail(
            "not a GGUF file",
            Hint("seallm runs GGUF files; make one from a checkpoint with: {convert}", convert=_CONVERT),
        )


def strings_at(data: mmap.mmap, array: Array, wanted: Collection[int]) -> dict[int, bytes]:
    """Items by index of an array of strings that `Walker` has checked; only these are copied."""
    unpack, pos, found = _U64.unpack_from, array.offset, {}
    for number in range(min(array.count, max(wanted, default=-1) + 1)):
        start = pos + 8
        pos = start + unpack(data, pos)[0]
        if number in wanted:
            found[number] = data[start:pos]
    return found


def strings(data: mmap.mmap, array: Array) -> Iterator[bytes]:
    """Items of an array of strings that `Walker` has checked."""
    unpack, pos = _U64.unpack_from, array.offset
    for _ in range(array.count):
        start = pos + 8
        pos = start + unpack(data, pos)[0]
        yield data[start:pos]
