"""`QuantizeBuffers`: one thread's memory for a chunk: widened to f32 once, then quantized to each type asked for.

A few buffers a thread, whatever the model's size. Knows nothing of files, names or recipes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seallm_edge.errors import CheckpointError, EngineError
from seallm_edge.gguf_file.types import TENSOR_TYPES, TensorType
from seallm_edge.hints import Hint, Option
from seallm_edge.native import quantizer

from ..sources.shards import DOWNLOAD_AGAIN

if TYPE_CHECKING:
    from seallm_edge.native.quantizer import Bytes, Floats

    from .row_reader import RowChunk

# Signed integer of the same width, and the bits of infinity.
_INFINITY = {"F32": ("i4", 0x7F800000), "F16": ("i2", 0x7C00), "BF16": ("i2", 0x7F80)}
# 2^32: above it, cubes may overflow in ggml's search for a scale, and it writes zeros without an error.
_HUGE = ("i4", 0x4F800000)


class QuantizeBuffers:
    """Buffers reused for every chunk; `raw` holds a chunk's source bytes."""

    def __init__(self, n_raw: int) -> None:
        self.raw: Bytes = np.empty(n_raw, np.uint8)
        self._wide: Floats = np.empty(0, np.float32)
        self._stored: Bytes = np.empty(0, np.uint8)
        self._back: Floats = np.empty(0, np.float32)
        self._rows: Floats | None = None

    def begin(self, chunk: RowChunk) -> None:
        """Check the chunk in `raw`. Raises CheckpointError for numbers that are not finite."""
        self._rows = None
        raw, dtype = self.raw[: chunk.n_bytes], chunk.source.dtype
        if dtype in _INFINITY:
            is_sound = not _reaches(raw, *_INFINITY[dtype])
        else:
            is_sound = dtype not in quantizer.WIDENABLE or quantizer.valid(TENSOR_TYPES[dtype], raw)
        if not is_sound:
            problem = f"{chunk.source.name} holds numbers that are not finite"
            raise CheckpointError(chunk.source.shard.path, problem, DOWNLOAD_AGAIN)

    def stored(self, chunk: RowChunk, kind: TensorType, importance: Floats | None) -> Bytes:
        """Bytes of the chunk as `kind`. They stay until the next call.

        Raises CheckpointError for numbers that are too large for it.
        """
        raw = self.raw[: chunk.n_bytes]
        if chunk.source.dtype == kind.name:
            return raw
        rows = self._widened(chunk)
        if kind.name == "F32":
            return rows.view(np.uint8)
        n_bytes = chunk.n_rows * kind.row_bytes(chunk.source.n_per_row)
        self._stored = _grown(self._stored, n_bytes)
        out = self._stored[:n_bytes]
        try:
            if kind.block > 1 and _reaches(rows.view(np.uint8), *_HUGE):
                raise EngineError(f"weights too large for {kind.name}")
            quantizer.quantize(rows, kind, chunk.source.n_per_row, out, importance)
            if kind.block == 1 and _reaches(out, *_INFINITY[kind.name]):
                raise EngineError(f"weights too large for {kind.name}")
        except EngineError as error:
            problem = f"{chunk.source.name} holds numbers that are too large for {kind.name}"
            raise CheckpointError(
                chunk.source.shard.path, problem, Hint("choose {wider} or F32", wider=Option("type", "BF16"))
            ) from error
        return out

    def errors(self, chunk: RowChunk, kind: TensorType, stored: Bytes) -> tuple[float, float]:
        """(sum of squared errors, sum of squares) of the chunk, stored as `kind` in these bytes."""
        if chunk.source.dtype not in quantizer.WIDENABLE | {"F32"}:
            return 0.0, 0.0
        rows = self._widened(chunk)
        squares = float(np.dot(rows, rows))
        if kind.name == "F32" or chunk.source.dtype == kind.name:
            return 0.0, squares
        self._back = _grown(self._back, rows.size)
        back = self._back[: rows.size]
        quantizer.widen(stored, kind.name, back)
        np.subtract(back, rows, out=back)
        return float(np.dot(back, back)), squares

    def _widened(self, chunk: RowChunk) -> Floats:
        """Weights of the chunk as f32, computed once for all types."""
        if self._rows is None:
            raw = self.raw[: chunk.n_bytes]
            n_weights = chunk.n_rows * chunk.source.n_per_row
            if chunk.source.dtype == "F32":
                self._rows = raw.view(np.float32)
            else:
                self._wide = _grown(self._wide, n_weights)
                self._rows = self._wide[:n_weights]
                quantizer.widen(raw, chunk.source.dtype, self._rows)
        return self._rows


def _reaches(raw: Bytes, integer: str, magnitude: int) -> bool:
    """Whether the bits of any float, without its sign, are at least `magnitude` (NaN is above infinity)."""
    # As signed integers positive floats are in order; as unsigned ones the negative floats are above all of them.
    signed = raw.view(integer)
    sign = 1 << (8 * signed.itemsize - 1)
    return bool(signed.max() >= magnitude or signed.view(f"u{signed.itemsize}").max() >= (sign | magnitude))


def _grown(buffer: Any, n: int) -> Any:
    return buffer if buffer.size >= n else np.empty(n, buffer.dtype)
