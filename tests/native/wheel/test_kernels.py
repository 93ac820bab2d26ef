"""Matrix multiplication of quantized weights with any batch, by each CPU variant that runs here: against numpy."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seallm_edge.native import symbols
from seallm_edge.native.backends import KERNEL_TYPES, find_backends, load_backends
from tests.support.quantized import NUMBERS, adversarial, quantized, rounded

pytestmark = pytest.mark.slow

N, N_OUT = 768, 150  # three super-blocks; weight rows that fill no tile
KINDS = sorted(KERNEL_TYPES)
# of columns: all that fill a register tile, or two, or just not; and some of a prompt
COUNTS = (*range(1, 27), 47, 48, 49, 63, 64, 65, 127, 200, 511, 512, 520)
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

    def products(
        self,
        weights: list[tuple[str, bytes]],
        rows: Floats,
        n_threads: int,
        memory: NDArray[np.uint32] | None = None,
    ) -> list[Floats]:
        """Of each of `weights` (type, packed) with `rows`, in one graph, shape (len(rows), their rows).

        `memory` is what ggml works in.
        """
        size = ctypes.c_size_t(96 << 20 if memory is None else memory.nbytes)
        context = new_context(size, None if memory is None else memory.ctypes.data)
        try:
            n = rows.shape[1]
            right = self.base["ggml_new_tensor_2d"](context, NUMBERS["F32"], n, len(rows))
            data = np.ascontiguousarray(rows, np.float32).tobytes()
            ctypes.memmove(self.base["ggml_get_data"](right), data, len(data))
            graph = self.base["ggml_new_graph"](context)
            results = []
            for kind, packed in weights:
                n_out = len(packed) // row_size(kind, n)
                left = self.base["ggml_new_tensor_2d"](context, NUMBERS[kind], n, n_out)
                ctypes.memmove(self.base["ggml_get_data"](left), packed, len(packed))
                result = self.base["ggml_mul_mat"](context, left, right)
                symbols.function("ggml_build_forward_expand", None, ctypes.c_void_p, ctypes.c_void_p)(graph, result)
                results.append((result, n_out))
            assert self.cpu.ggml_graph_compute_with_ctx(context, graph, n_threads) == 0
            return [
                np.frombuffer(
                    ctypes.string_at(self.base["ggml_get_data"](result), 4 * n_out * len(rows)), np.float32
                ).reshape(len(rows), n_out)
                for result, n_out in results
            ]
        finally:
            symbols.function("ggml_free", None, ctypes.c_void_p)(context)

    def product(
        self, kind: str, weights: bytes, rows: Floats, n_threads: int, memory: NDArray[np.uint32] | None = None
    ) -> Floats:
        """Shape (len(rows), weight rows)."""
        return self.products([(kind, weights)], rows, n_threads, memory)[0]


class InitParameters(ctypes.Structure):
    """ref: ggml.h, struct ggml_init_params"""

    _fields_ = (("size", ctypes.c_size_t), ("buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


def new_context(size: ctypes.c_size_t, memory: int | None) -> int:
    return symbols.function("ggml_init", ctypes.c_void_p, InitParameters)(InitParameters(size, memory, False))


def row_size(kind: str, n: int) -> int:
    return symbols.function("ggml_row_size", ctypes.c_size_t, ctypes.c_int, ctypes.c_int64)(NUMBERS[kind], n)


@cache
def ggml(variant: str) -> Ggml:
    """Skips where this processor lacks its instructions, or it has no kernels of ours."""
    load_backends()
    cpu = ctypes.CDLL(str(variants()[variant]))
    if not cpu.ggml_backend_score() or not hasattr(cpu, "seallm_has_kernels") or not cpu.seallm_has_kernels():
        pytest.skip("this processor cannot run it, or it has ggml's own kernels")
    return Ggml(variants()[variant])


@cache
def rows_of(n_rows: int, n: int = N) -> Floats:
    rows = np.random.default_rng(7).normal(0, 1, (n_rows, n)).astype(np.float32)
    rows[0, 17] = 40.0  # an outlier, as activations have them
    if n_rows > 3:
        rows[2] = 0
        rows[3] = 1e-30
    return rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", sorted(variants()))
def test_a_product_is_right_and_the_same_for_every_number_of_rows(variant: str, kind: str) -> None:
    library = ggml(variant)
    packed, numbers = quantized(kind, N_OUT, N)
    rows = rows_of(max(COUNTS))
    expected = rounded(rows, kind) @ numbers.T
    all_of_them = library.product(kind, packed, rows, 2)
    assert np.abs(all_of_them - expected).max() < 1e-5 * np.abs(expected).max()
    for count in COUNTS:
        found = library.product(kind, packed, rows[:count], 1 + count % 3)
        assert (found == all_of_them[:count]).all(), f"other bits with {count} rows"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", sorted(variants()))
def test_extreme_weights_are_multiplied_right(variant: str, kind: str) -> None:
    library = ggml(variant)
    packed, numbers = adversarial(kind, N_OUT, N)
    rows = rows_of(9)
    expected = rounded(rows, kind) @ numbers.T
    found = library.product(kind, packed, rows, 2)
    size = np.abs(rounded(rows, kind)) @ np.abs(numbers).T  # what rounding is relative to
    assert (np.abs(found - expected) <= 3e-6 * size + 1e-37).all()
    assert (library.product(kind, packed, rows[:1], 1) == found[:1]).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", sorted(variants()))
def test_activations_too_small_for_a_scale_count_as_zero(variant: str, kind: str) -> None:
    """The inverse of their scale would be infinite, and each of them the lowest byte."""
    rows = np.full((3, N), 1e-41, np.float32)
    rows[1] *= -1
    assert (ggml(variant).product(kind, quantized(kind, N_OUT, N)[0], rows, 1) == 0).all()


@pytest.mark.parametrize("n_out", [1, 7, 31, 33, 64, 97])
@pytest.mark.parametrize("n", [256, 512, 1280])
@pytest.mark.parametrize("kind", KINDS)
def test_odd_sizes_are_multiplied_right(kind: str, n: int, n_out: int) -> None:
    library = ggml(load_backends().variant)
    packed, numbers = quantized(kind, n_out, n)
    for count in (1, 2, 3, 14):
        rows = rows_of(count, n)
        expected = rounded(rows, kind) @ numbers.T
        assert np.abs(library.product(kind, packed, rows, 2) - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("n_threads", [1, 2, 3, 5, 8])
def test_the_number_of_threads_changes_no_bit(n_threads: int) -> None:
    library = ggml(load_backends().variant)
    for kind in KINDS:
        packed, _ = quantized(kind, N_OUT, N)
        alone = library.product(kind, packed, rows_of(70), 1)
        assert (library.product(kind, packed, rows_of(70), n_threads) == alone).all()


@pytest.mark.parametrize("n_rows", [1, 2, 5, 70])
@pytest.mark.parametrize("variant", sorted(variants()))
def test_products_of_one_input_are_those_of_each_alone(variant: str, n_rows: int) -> None:
    """They quantize it once where their types quantize alike, and again where they don't."""
    library = ggml(variant)
    kinds = ("Q4_K", "Q4_K", "Q6_K", "Q5_K", "Q4_K", "Q8_0", "Q8_0", "Q4_1", "IQ4_XS", "Q4_0", "Q4_K")
    weights = [(kind, quantized(kind, 40 + 10 * i, N)[0]) for i, kind in enumerate(kinds)]
    together = library.products(weights, rows_of(n_rows), 2)
    for (kind, packed), result in zip(weights, together, strict=True):
        assert (result == library.product(kind, packed, rows_of(n_rows), 1)).all(), kind


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's exception flags")
@pytest.mark.parametrize("n_rows", [1, 3, 7, 30])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", sorted(variants()))
def test_what_lay_in_working_memory_takes_no_part(variant: str, kind: str, n_rows: int) -> None:
    """Subnormal numbers there once made each step of a reply four times as long on Intel's processors."""
    library = ggml(variant)
    subnormal = np.full(16 << 20, 0x00400040, np.uint32)
    mathematics, underflow = ctypes.CDLL("libm.so.6"), 0x10  # ref: glibc, x86's fenv.h, FE_UNDERFLOW
    rows = np.random.default_rng(7).normal(0, 1, (n_rows, N)).astype(np.float32)
    mathematics.feclearexcept(underflow)
    library.product(kind, quantized(kind, N_OUT, N)[0], rows, 1, subnormal)
    assert not mathematics.fetestexcept(underflow)


def test_they_can_be_switched_off() -> None:
    load_backends()
    code = (
        "from seallm_edge.native.backends import load_backends\n"
        "print(sorted(load_backends().kernel_types), bool(load_backends().variant))"
    )
    for setting, types in (("off", []), ("", KINDS)):
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "SEALLM_KERNELS": setting}, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        has_any = bool(load_backends().kernel_types)
        assert done.stdout == f"{types if has_any else []} True\n"
