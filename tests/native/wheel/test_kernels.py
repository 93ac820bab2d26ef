"""Matrix multiplication of quantized weights with any batch, by each CPU variant that runs here: against numpy."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from seallm_edge.native.backends import KERNEL_TYPES, load_backends
from tests.support.cpu_code import Floats, ggml, variants
from tests.support.quantized import adversarial, quantized, rounded

pytestmark = pytest.mark.slow

N, N_OUT = 768, 150  # three super-blocks; weight rows that fill no tile
KINDS = sorted(KERNEL_TYPES)
# of columns: all that fill a register tile, or two, or just not; and some of a prompt
COUNTS = (*range(1, 27), 47, 48, 49, 63, 64, 65, 127, 200, 511, 512, 520)


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
