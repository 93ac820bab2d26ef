"""ggml's own block quantizer, called on slices of rows; and llama.cpp's whole-file quantizer beside it.

Knows nothing of files, checkpoints or recipes. ctypes lets go of the GIL, so threads may work side by side.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from ..gguf_file import types as gguf_types
from .symbols import function, llama_cpp

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class TensorType:
    """One of ggml's ways to store weights: `n_bytes` for every `block` weights of a row."""

    name: str
    id: int
    block: int
    n_bytes: int

    def divides(self, n_per_row: int) -> bool:
        """Whether a row of `n_per_row` weights is a whole number of blocks."""
        return n_per_row % self.block == 0

    def row_bytes(self, n_per_row: int) -> int:
        """Bytes of a row of `n_per_row` weights."""
        return n_per_row // self.block * self.n_bytes


TENSOR_TYPES = {
    name: TensorType(name, id_, block, size) for id_, (name, block, size) in gguf_types.TENSOR_TYPES.items()
}

_WIDENERS = {"F16": "ggml_fp16_to_fp32_row", "BF16": "ggml_bf16_to_fp32_row"}


def widen(source: Bytes, dtype: str, target: Floats) -> None:
    """Fill `target` with the F16 or BF16 weights whose bytes are `source`."""
    row_function = function(_WIDENERS[dtype], None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    row_function(source.ctypes.data, target.ctypes.data, target.size)


def quantize(rows: Floats, kind: TensorType, n_per_row: int, target: Bytes) -> int:
    """Bytes written at the start of `target`: the whole rows of `rows`, stored as `kind`.

    Raises EngineError if a block came out with a scale that is no finite number.
    """
    quantize_chunk, validate = _block_functions()
    n_rows = rows.size // n_per_row
    if not kind.divides(n_per_row) or target.size < n_rows * kind.row_bytes(n_per_row):
        raise ValueError(f"{n_rows} rows of {n_per_row} do not fit {kind.name} in {target.size} bytes")
    n_bytes = int(quantize_chunk(kind.id, rows.ctypes.data, target.ctypes.data, 0, n_rows, n_per_row, None))
    if kind.block > 1 and not validate(kind.id, target.ctypes.data, n_bytes):
        raise EngineError(f"weights too large for {kind.name}")
    return n_bytes


@cache
def _block_functions() -> tuple[Any, Any]:
    size, pointer, count = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int64
    quantize_chunk = function("ggml_quantize_chunk", size, ctypes.c_int, pointer, pointer, count, count, count, pointer)
    return quantize_chunk, function("ggml_validate_row_data", ctypes.c_bool, ctypes.c_int, pointer, size)


def requantize_file(source: Path, target: Path, file_type: int, threads: int = 1) -> None:
    """Write `target`: the GGUF `source` in llama.cpp's `file_type`, done by llama.cpp itself (allowing requantizing).

    Raises EngineError with llama.cpp's last log lines.
    """
    from . import log
    from .library import load_backends

    load_backends()
    bindings = llama_cpp()
    params = bindings.llama_model_quantize_default_params()
    params.ftype = file_type
    params.nthread = threads
    params.allow_requantize = True
    log.relay().take_complaints()
    code = bindings.llama_model_quantize(bytes(source), bytes(target), ctypes.byref(params))
    if code != 0:
        raise EngineError(
            f"llama.cpp cannot quantize {source.name} (code {code})",
            "check the file: seallm show FILE",
            log.relay().take_complaints(),
        )
