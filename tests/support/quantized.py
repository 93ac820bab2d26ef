"""Quantized weights with their numbers, and activations as kernels quantize them."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np
from numpy.typing import NDArray

from seallm_edge.gguf_file.types import TENSOR_TYPES
from seallm_edge.native import symbols

NUMBERS = {name: type_.id for name, type_ in TENSOR_TYPES.items()}

# Where a block has its 16-bit floats. ref: ggml-common.h
_HALVES = {
    "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,), "IQ4_NL": (0,),
    "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "IQ4_XS": (0,),
}  # fmt: skip


@cache
def quantized(kind: str, n_out: int, n: int) -> tuple[bytes, NDArray[np.float64]]:
    """Weights of normal size: packed, and as numbers, shape (n_out, n). The first row and half of the second are 0."""
    values = np.random.default_rng(5).normal(0, 0.05, (n_out, n)).astype(np.float32)
    values[0] = 0
    if n_out > 1:
        values[1, n // 2 :] = 0
    packed = np.zeros(TENSOR_TYPES[kind].row_bytes(n_out * n), np.uint8)
    quantize = symbols.function(
        "ggml_quantize_chunk", ctypes.c_size_t, ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3,
        ctypes.c_void_p,
    )  # fmt: skip
    assert quantize(NUMBERS[kind], values.ctypes.data, packed.ctypes.data, 0, n_out, n, None) == packed.nbytes
    return packed.tobytes(), _numbers(packed, kind, n_out)


@cache
def adversarial(kind: str, n_out: int, n: int) -> tuple[bytes, NDArray[np.float64]]:
    """Weights of any bits: all quants and scales within a block, and 16-bit floats from subnormal to the largest,
    0 and negative ones among them."""
    draw = np.random.default_rng(11)
    type_ = TENSOR_TYPES[kind]
    packed = draw.integers(0, 256, type_.row_bytes(n_out * n), np.uint8).reshape(-1, type_.n_bytes)
    packed[::7] = 0xFF
    packed[1::7] = 0
    packed[2::7] = 0x80
    halves = np.array([0, 1, 0x03FF, 0x0400, 0x3C00, 0x8001, 0xBC00, 0x7BFF, 0xFBFF, 0x1234, 0x8000], np.uint16)
    for offset in _HALVES[kind]:
        chosen = draw.choice(halves, len(packed))
        packed[:, offset : offset + 2] = chosen.view(np.uint8).reshape(-1, 2)
    return packed.tobytes(), _numbers(packed.reshape(-1), kind, n_out)


def _numbers(packed: NDArray[np.uint8], kind: str, n_out: int) -> NDArray[np.float64]:
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    return dequantize(packed.reshape(n_out, -1), GGMLQuantizationType[kind]).astype(np.float64)


def rounded(rows: NDArray[np.float32], kind: str) -> NDArray[np.float64]:
    """Activations as they are multiplied with weights of this type: whole numbers to 127, with a scale for 32 of them
    or for a super-block."""
    blocks = rows.reshape(-1, 256 if kind.endswith(("_K", "_XS")) else 32)
    largest = np.abs(blocks).max(1, keepdims=True)
    largest[largest < 1e-35] = 0  # its scale would be subnormal
    inverse = np.divide(np.float32(127), largest, out=np.zeros_like(largest), where=largest > 0)
    scale = (largest * np.float32(1 / 127)).astype(np.float64)
    return (np.rint(blocks * inverse).astype(np.float64) * scale).reshape(rows.shape)
