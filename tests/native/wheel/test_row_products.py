"""Products of quantized weights with a few batch tokens, by each CPU variant that runs here: against numpy."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seallm_edge.gguf_file.types import TENSOR_TYPES
from seallm_edge.native import symbols
from seallm_edge.native.backends import ROW_TYPES, find_backends, load_backends

pytestmark = pytest.mark.slow

N, N_OUT, MAX_ROWS = 768, 70, 52  # three super-blocks; weight rows that are no multiple of anything
NUMBERS = {name: type_.id for name, type_ in TENSOR_TYPES.items()}
Floats = NDArray[np.float32]


def variants() -> dict[str, Path]:
    return {variant: path for (kind, variant), path in find_backends().items() if kind == "cpu"}


class Ggml:
    """One CPU code's functions, beside ggml's own."""

    def __init__(self, path: Path) -> None:
        self.cpu = ctypes.CDLL(str(path))
        base = {name: symbols.function(name, ctypes.c_void_p, *kinds) for name, kinds in {
            "ggml_new_tensor_2d": (ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_int64),
            "ggml_mul_mat": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
            "ggml_new_graph": (ctypes.c_void_p,),
            "ggml_get_data": (ctypes.c_void_p,),
        }.items()}  # fmt: skip
        self.base = base
        self.cpu.ggml_cpu_init()
        self.cpu.ggml_graph_compute_with_ctx.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)

    def product(
        self, kind: str, weights: bytes, rows: Floats, n_threads: int, memory: NDArray[np.uint32] | None = None
    ) -> Floats:
        """Shape (len(rows), N_OUT). `memory` is what ggml works in."""
        size = ctypes.c_size_t(64 << 20 if memory is None else memory.nbytes)
        context = new_context(size, None if memory is None else memory.ctypes.data)
        try:
            left = self.base["ggml_new_tensor_2d"](context, NUMBERS[kind], N, N_OUT)
            right = self.base["ggml_new_tensor_2d"](context, NUMBERS["F32"], N, len(rows))
            ctypes.memmove(self.base["ggml_get_data"](left), weights, len(weights))
            data = np.ascontiguousarray(rows, np.float32).tobytes()
            ctypes.memmove(self.base["ggml_get_data"](right), data, len(data))
            result = self.base["ggml_mul_mat"](context, left, right)
            graph = self.base["ggml_new_graph"](context)
            symbols.function("ggml_build_forward_expand", None, ctypes.c_void_p, ctypes.c_void_p)(graph, result)
            assert self.cpu.ggml_graph_compute_with_ctx(context, graph, n_threads) == 0
            out = ctypes.string_at(self.base["ggml_get_data"](result), 4 * N_OUT * len(rows))
        finally:
            symbols.function("ggml_free", None, ctypes.c_void_p)(context)
        return np.frombuffer(out, np.float32).reshape(len(rows), N_OUT)


class InitParameters(ctypes.Structure):
    """ref: ggml.h, struct ggml_init_params"""

    _fields_ = (("size", ctypes.c_size_t), ("buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


def new_context(size: ctypes.c_size_t, memory: int | None) -> int:
    return symbols.function("ggml_init", ctypes.c_void_p, InitParameters)(InitParameters(size, memory, False))


@cache
def ggml(variant: str) -> Ggml | None:
    """None where this processor lacks its instructions, or it has no such products."""
    load_backends()
    cpu = ctypes.CDLL(str(variants()[variant]))
    can_run = cpu.ggml_backend_score() > 0 and hasattr(cpu, "seallm_row_products") and cpu.seallm_row_products()
    return Ggml(variants()[variant]) if can_run else None


@cache
def weights_of(kind: str) -> tuple[bytes, NDArray[np.float64]]:
    """(quantized, the same as numbers), shape (N_OUT, N)."""
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    values = np.random.default_rng(5).normal(0, 0.05, (N_OUT, N)).astype(np.float32)
    values[0] = 0
    values[1, 256:] = 0
    packed = np.zeros(TENSOR_TYPES[kind].row_bytes(N_OUT * N), np.uint8)
    quantize = symbols.function(
        "ggml_quantize_chunk", ctypes.c_size_t, ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3,
        ctypes.c_void_p,
    )  # fmt: skip
    assert quantize(NUMBERS[kind], values.ctypes.data, packed.ctypes.data, 0, N_OUT, N, None) == packed.nbytes
    numbers = dequantize(packed.reshape(N_OUT, -1), GGMLQuantizationType[kind]).astype(np.float64)
    return packed.tobytes(), numbers


def rows_of(n: int) -> Floats:
    rows = np.random.default_rng(7).normal(0, 1, (n, N)).astype(np.float32)
    rows[0, 17] = 40.0  # an outlier, as activations have them
    if n > 2:
        rows[2] = 0
    return rows


def rounded(rows: Floats, kind: str) -> NDArray[np.float64]:
    """Activations as a product sees them. ref: ggml-quants.c, quantize_row_q8_0_ref and quantize_row_q8_K_ref"""
    if kind == "Q8_0":
        blocks = rows.reshape(-1, 32).astype(np.float64)
        step = np.abs(blocks).max(1, keepdims=True) / 127
        whole = np.rint(np.divide(blocks, step, out=np.zeros_like(blocks), where=step > 0))
        return (whole * step.astype(np.float16)).reshape(rows.shape)
    blocks = rows.reshape(-1, 256).astype(np.float64)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(1)[:, None], 1)
    step = largest / -127
    whole = np.rint(np.divide(blocks, step, out=np.zeros_like(blocks), where=step != 0))
    return (np.minimum(whole, 127) * step).reshape(rows.shape)


@pytest.mark.parametrize("kind", sorted(ROW_TYPES))
@pytest.mark.parametrize("variant", sorted(variants()))
def test_a_product_is_right_for_every_number_of_rows(variant: str, kind: str) -> None:
    library = ggml(variant)
    if library is None:
        pytest.skip("this processor cannot run it, or ggml's own products do")
    packed, numbers = weights_of(kind)
    rows = rows_of(MAX_ROWS)
    expected = rounded(rows, kind) @ numbers.T
    scale = np.abs(expected).max()
    first = library.product(kind, packed, rows, 1)[:1]
    for n in (*range(1, 19), 47, 48, 49, MAX_ROWS):
        found = library.product(kind, packed, rows[:n], 2)
        assert np.abs(found - expected[:n]).max() < 2e-3 * scale, f"{n} rows"
        if n <= 48:
            assert (found == library.product(kind, packed, rows[:48], 2)[:n]).all(), f"other bits with {n} rows"
    assert np.isfinite(first).all()


@pytest.mark.parametrize("n_threads", [1, 2, 3, 5])
def test_the_number_of_threads_changes_no_bit(n_threads: int) -> None:
    library = ggml(load_backends().variant)
    if library is None:
        pytest.skip("no such products here")
    for kind in sorted(ROW_TYPES):
        packed, _ = weights_of(kind)
        alone = library.product(kind, packed, rows_of(5), 1)
        assert (library.product(kind, packed, rows_of(5), n_threads) == alone).all()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's exception flags")
@pytest.mark.parametrize("n_rows", [1, 3, 7])
@pytest.mark.parametrize("kind", sorted(ROW_TYPES))
@pytest.mark.parametrize("variant", sorted(variants()))
def test_what_lay_in_working_memory_takes_no_part(variant: str, kind: str, n_rows: int) -> None:
    """Subnormal numbers there once made each step of a reply four times as long on Intel's processors."""
    library = ggml(variant)
    if library is None:
        pytest.skip("this processor cannot run it, or ggml's own products do")
    subnormal = np.full(16 << 20, 0x00400040, np.uint32)
    mathematics, underflow = ctypes.CDLL("libm.so.6"), 0x10  # ref: glibc, x86's fenv.h, FE_UNDERFLOW
    rows = np.random.default_rng(7).normal(0, 1, (n_rows, N)).astype(np.float32)
    mathematics.feclearexcept(underflow)
    library.product(kind, weights_of(kind)[0], rows, 1, subnormal)
    assert not mathematics.fetestexcept(underflow)
