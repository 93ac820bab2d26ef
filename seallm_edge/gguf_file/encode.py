"""GGUF encoding: typed values, and the header before the tensors' data.

ref: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 3, little-endian)
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence

from .types import ARRAY, BOOL, FLOAT32, INT32, MAGIC, STRING, UINT16, UINT32, VERSION, padded

TensorEntry = tuple[str, Sequence[int], int, int]  # name, shape (rows first), type id, offset in the data


def u32(value: int) -> bytes:
    """An unsigned 32-bit value."""
    return struct.pack("<II", UINT32, value)


def u16(value: int) -> bytes:
    """An unsigned 16-bit value."""
    return struct.pack("<IH", UINT16, value)


def i32(value: int) -> bytes:
    """A signed 32-bit value."""
    return struct.pack("<Ii", INT32, value)


def f32(value: float) -> bytes:
    """A 32-bit float value."""
    return struct.pack("<If", FLOAT32, value)


def flag(value: bool) -> bytes:
    """A boolean value."""
    return struct.pack("<I?", BOOL, value)


def text(value: str) -> bytes:
    """A string value. Raises UnicodeEncodeError on a lone surrogate."""
    return struct.pack("<I", STRING) + _string(value)


def texts(values: Collection[str]) -> bytes:
    """An array of strings."""
    return struct.pack("<IIQ", ARRAY, STRING, len(values)) + b"".join(map(_string, values))


def i32s(values: Sequence[int]) -> bytes:
    """An array of signed 32-bit integers."""
    return struct.pack(f"<IIQ{len(values)}i", ARRAY, INT32, len(values), *values)


def header(metadata: Mapping[str, bytes], tensors: Collection[TensorEntry]) -> bytes:
    """Header: all bytes before the first tensor's data, padded to the alignment."""
    parts = [MAGIC, struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    parts += [_string(key) + value for key, value in metadata.items()]
    parts += [_tensor(*entry) for entry in tensors]
    size = sum(map(len, parts))
    return b"".join(parts) + bytes(padded(size) - size)


def _string(value: str) -> bytes:
    encoded = value.encode("utf-8")
    return struct.pack("<Q", len(encoded)) + encoded


def _tensor(name: str, shape: Sequence[int], type_id: int, offset: int) -> bytes:
    # ggml counts dimensions from the innermost one.
    return _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), type_id, offset)
