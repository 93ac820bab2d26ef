"""ggml's own block quantizer, called on slices of rows; and llama.cpp's whole-file quantizer beside it.

Knows nothing of files, checkpoints or recipes. ctypes lets go of the GIL, so threads may work side by side: the tables
that IQ types look up are made by the first call that needs them, under ggml's own lock.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from ..gguf_file.types import NO_WEIGHTS, TENSOR_TYPES, TensorType
from ..hints import Command, Hint
from .symbols import function, llama_cpp

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Bytes = npt.NDArray[np.uint8]

WRITABLE = frozenset(TENSOR_TYPES).difference(NO_WEIGHTS)
WIDENABLE = WRITABLE - {"F32"}

_FLOAT_WIDENERS = {"F16": "ggml_fp16_to_fp32_row", "BF16": "ggml_bf16_to_fp32_row"}
# A search for the best block sums importance x weight³, or weight⁴ where no importance is given. Past f32's range it
# finds nothing, and ggml ends the process. No IQ type could hold such weights: their scales are f16.
_MAX_SUM = 2.0**117


def widen(source: Bytes, kind: str, target: Floats) -> None:
    """Fill `target` with the weights whose bytes, of the type called `kind`, are `source`.

    Exactly as llama.cpp does before it quantizes again. Raises ValueError for a type not in `WIDENABLE`, or where the
    sizes do not go together.
    """
    if kind not in WIDENABLE:
        raise ValueError(f"ggml cannot widen {kind}")
    if not TENSOR_TYPES[kind].divides(target.size) or source.size != TENSOR_TYPES[kind].row_bytes(target.size):
        raise ValueError(f"{source.size} bytes of {kind} are not {target.size} weights")
    name = _FLOAT_WIDENERS.get(kind) or f"dequantize_row_{kind.lower().replace('_k', '_K')}"
    row_function = function(name, None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    row_function(source.ctypes.data, target.ctypes.data, target.size)


def quantize(rows: Floats, kind: TensorType, n_per_row: int, target: Bytes, importance: Floats | None = None) -> int:
    """Bytes written at the start of `target`: the whole rows of `rows`, stored as `kind`.

    `importance` has a number from 0 up for each column: how much an error there costs. Raises ValueError where the
    sizes do not go together, or a type that needs importance gets none; EngineError for weights that are too large.
    """
    quantize_chunk, validate = _block_functions()
    n_rows = rows.size // n_per_row
    if kind.name not in WRITABLE:
        raise ValueError(f"ggml cannot write {kind.name}")
    if not kind.divides(n_per_row) or target.size < n_rows * kind.row_bytes(n_per_row):
        raise ValueError(f"{n_rows} rows of {n_per_row} do not fit {kind.name} in {target.size} bytes")
    if importance is None and needs_importance(kind):
        raise ValueError(f"{kind.name} needs to know each column's importance")
    if importance is not None and (importance.size != n_per_row or not importance.min() >= 0):
        raise ValueError(f"importance is not {n_per_row} numbers from 0 up")
    if kind.name.startswith("IQ") and not _sums_stay_finite(rows, importance):
        raise EngineError(f"weights too large for {kind.name}")
    columns = None if importance is None else importance.ctypes.data
    n_bytes = int(quantize_chunk(kind.id, rows.ctypes.data, target.ctypes.data, 0, n_rows, n_per_row, columns))
    if kind.block > 1 and not validate(kind.id, target.ctypes.data, n_bytes):
        raise EngineError(f"weights too large for {kind.name}")
    return n_bytes


def needs_importance(kind: TensorType) -> bool:
    """Whether ggml cannot write this type without being told which columns matter."""
    return bool(function("ggml_quantize_requires_imatrix", ctypes.c_bool, ctypes.c_int)(kind.id))


def valid(kind: TensorType, data: Bytes) -> bool:
    """Whether `data` is whole blocks of `kind` and every scale in it is a finite number.

    llama.cpp asks the same of all weights that it quantizes. ggml says on stderr which block is at fault.
    """
    _, validate = _block_functions()
    return data.size % kind.n_bytes == 0 and bool(validate(kind.id, data.ctypes.data, data.size))


def _sums_stay_finite(rows: Floats, importance: Floats | None) -> bool:
    peak = max(float(rows.max()), -float(rows.min()))
    return peak**3 * (peak if importance is None else float(importance.max())) < _MAX_SUM


@cache
def _block_functions() -> tuple[Any, Any]:
    size, pointer, count = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int64
    quantize_chunk = function("ggml_quantize_chunk", size, ctypes.c_int, pointer, pointer, count, count, count, pointer)
    return quantize_chunk, function("ggml_validate_row_data", ctypes.c_bool, ctypes.c_int, pointer, size)


def requantize_file(
    source: Path,
    target: Path,
    file_type: int,
    threads: int = 1,
    importance: Mapping[str, Floats] | None = None,
    allow_requantize: bool = True,
) -> None:
    """Write `target`: the GGUF `source` in llama.cpp's `file_type`, done by llama.cpp itself.

    `importance` has, by tensor name, a number for each column of each expert. Raises EngineError with llama.cpp's last
    log lines. A damaged source may end the process: for files that were checked.
    """
    from . import log
    from .backends import load_backends

    load_backends()
    bindings = llama_cpp()
    params = bindings.llama_model_quantize_default_params()
    params.ftype = file_type
    params.nthread = threads
    params.allow_requantize = allow_requantize
    if importance is not None:
        params.imatrix = _importance_entries(importance)
    log.relay().take_complaints()
    code = bindings.llama_model_quantize(bytes(source), bytes(target), ctypes.byref(params))
    if code != 0:
        raise EngineError(
            f"llama.cpp cannot quantize {source.name} (code {code})",
            Hint("check the file: {show}", show=Command("show", ("FILE",))),
            log.relay().take_complaints(),
        )


def _importance_entries(importance: Mapping[str, Floats]) -> Any:
    """llama.cpp's array of (name, numbers, how many), ended by an entry without a name."""
    entry = llama_cpp().llama_model_imatrix_data
    floats = ctypes.POINTER(ctypes.c_float)
    entries = [entry(name.encode(), row.ctypes.data_as(floats), row.size) for name, row in importance.items()]
    return (entry * (len(entries) + 1))(*entries)
