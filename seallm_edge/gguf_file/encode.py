"""GGUF encoding: typed values, and the header before the tensors' data.

ref: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 3, little-endian)
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence

ALIGNMENT = 32
_MAGIC, _VERSION = b"GGUF", 3
_U16, _U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 2, 4, 5, 6, 7, 8, 9

TensorEntry = tuple[str, Sequence[int], int, int]  # name, shape (rows first), type id, offset in the data


def u32(value: int) -> bytes:
    """An unsigned 32-bit value."""
    return struct.pack("<II", _U32, value)


def u16(value: int) -> bytes:
    """An unsigned 16-bit value."""
    return struct.pack("<IH", _U16, value)


def i32(value: int) -> bytes:
    """A signed 32-bit value."""
    return struct.pack("<Ii", _I32, value)


def f32(value: float) -> bytes:
    """A 32-bit float value."""
    return struct.pack("<If", _F32, value)


def flag(value: bool) -> bytes:
    """A boolean value."""
    return struct.pack("<I?", _BOOL, value)


def text(value: str) -> bytes:
    """A string value. Raises UnicodeEncodeError on a lone surrogate."""
    return struct.pack("<I", _STRING) + _string(value)


def texts(values: Collection[str]) -> bytes:
    """An array of strings."""
    return struct.pack("<IIQ", _ARRAY, _STRING, len(values)) + b"".join(map(_string, values))


def i32s(values: Sequence[int]) -> bytes:
    """An array of signed 32-bit integers."""
    return struct.pack(f"<IIQ{len(values)}i", _ARRAY, _I32, len(values), *values)


def header(metadata: Mapping[str, bytes], tensors: Collection[TensorEntry]) -> bytes:
    """Header: all bytes before the first tensor's data, padded to the alignment."""
    parts = [_MAGIC, struct.pack("<IQQ", _VERSION, len(tensors), len(metadata))]
    parts += [_string(key) + value for key, value in metadata.items()]
    parts += [_tensor(*entry) for entry in tensors]
    size = sum(map(len, parts))
    return b"".join(parts) + bytes(padded(size) - size)


def padded(size: int) -> int:
    """Size in bytes, rounded up to a multiple of the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def _string(value: str) -> bytes:
    encoded = value.encode("utf-8")
    return struct.pack("<Q", len(encoded)) + encoded


def _tensor(name: str, shape: Sequence[int], type_id: int, offset: int) -> bytes:
    # ggml counts dimensions from the innermost one.
    return _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), type_id, offset)
