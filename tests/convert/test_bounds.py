"""Error bounds: they hold for all blocks of ggml, and for no damaged ones."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from seallm_edge.convert.checking.bounds import BOUNDS, dequantized, relative_rmse, sample_error, within_bound
from seallm_edge.gguf_file.types import TENSOR_TYPES, TensorType
from seallm_edge.native.quantizer import WRITABLE, needs_importance, quantize

pytestmark = pytest.mark.slow


N_ROWS, N_PER_ROW = 16, 2048
KINDS = [TENSOR_TYPES[name] for name in sorted(WRITABLE)]
QUANTIZED = [kind for kind in KINDS if kind.block > 1]
# Without importance IQ1_M loses blocks of widely scattered weights altogether: a fault of ggml's, which bounds show.
LOSES_BLOCKS = {"IQ1_M"}
# Its scales, of 8 bits, end at 448: larger weights than 6 times that are cut.
NARROW = {"NVFP4"}
# Scales that stand at the beginning of a block, as f16.
SCALE_FIRST = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "IQ4_NL", "IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_XS"}


def weights(seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N_ROWS, N_PER_ROW), np.float32) * np.float32(0.05)


def distributions(kind: TensorType) -> Iterator[tuple[str, Any]]:
    rng = np.random.default_rng(5)
    shape = (N_ROWS, N_PER_ROW)
    outlier = weights(1)
    outlier[np.arange(N_ROWS), rng.integers(0, N_PER_ROW, N_ROWS)] = 30
    constant = np.ones(shape) * rng.standard_normal((N_ROWS, 1))
    found = {
        "gaussian": weights(),
        "heavy tails": rng.standard_t(2, shape) * 0.05,
        "one outlier": outlier,
        "constant": constant,
        "±1": rng.choice([-1, 1], shape),
        "zeros": np.zeros(shape),
        "tiny": weights() * 2e-7,
        "large": weights() * 2e5,
        "all positive": np.abs(weights()),
        "uniform": rng.uniform(-1, 1, shape),
    }
    n_rows = 3 if kind.name.startswith("IQ") else N_ROWS  # ggml searches long for these
    for name, rows in found.items():
        if not (name == "large" and kind.name in NARROW):
            yield name, rows[:n_rows].astype(np.float32)


def importances(kind: TensorType) -> Iterator[Any]:
    rng = np.random.default_rng(9)
    if not needs_importance(kind) and kind.name not in LOSES_BLOCKS:
        yield None
    yield np.ones(N_PER_ROW, np.float32)
    yield rng.lognormal(0, 2, N_PER_ROW).astype(np.float32)
    yield (rng.lognormal(0, 1, N_PER_ROW) * rng.integers(0, 2, N_PER_ROW)).astype(np.float32)


def stored(kind: TensorType, rows: Any, importance: Any) -> Any:
    target = np.zeros(rows.size // N_PER_ROW * kind.row_bytes(N_PER_ROW), np.uint8)
    quantize(rows, kind, N_PER_ROW, target, importance)
    return target


def any_importance(kind: TensorType) -> Any:
    return np.ones(N_PER_ROW, np.float32) if needs_importance(kind) else None


def test_every_type_that_can_be_written_has_a_bound() -> None:
    assert set(BOUNDS) == WRITABLE


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_ggml_makes_of_weights_is_within_bound(kind: TensorType) -> None:
    refused = []
    for importance in importances(kind):
        for name, rows in distributions(kind):
            if not within_bound(kind, rows, dequantized(kind, stored(kind, rows, importance)), importance):
                refused.append(name)
    assert refused == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_other_weights_are_not_within_bound(kind: TensorType) -> None:
    importance = any_importance(kind)
    found = dequantized(kind, stored(kind, weights(1), importance)).reshape(-1, kind.block)
    mistaken = [within_bound(kind, *pair, None) for pair in zip(weights().reshape(found.shape), found, strict=True)]
    assert sum(mistaken) <= len(mistaken) * (0.01 if kind.block == 1 else 0)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_weights_shifted_by_one_row_are_not_within_bound(kind: TensorType) -> None:
    importance = any_importance(kind)
    found = dequantized(kind, stored(kind, weights(), importance)).reshape(N_ROWS, N_PER_ROW)
    assert not within_bound(kind, weights(), np.roll(found, 1, axis=0), importance)


@pytest.mark.parametrize("bit", [15, 14, 13, 10], ids=["sign", "exponent", "exponent, next", "exponent, last"])
@pytest.mark.parametrize("name", sorted(SCALE_FIRST))
def test_one_flipped_bit_of_one_scale_is_noticed(name: str, bit: int) -> None:
    kind = TENSOR_TYPES[name]
    importance = any_importance(kind)
    data = stored(kind, weights(), importance)
    data[5 * kind.n_bytes : 5 * kind.n_bytes + 2].view("<u2")[0] ^= 1 << bit
    assert not within_bound(kind, weights(), dequantized(kind, data), importance)


def test_numbers_that_are_not_finite_are_not_within_bound_even_where_they_do_not_matter() -> None:
    kind = TENSOR_TYPES["Q4_0"]
    found = dequantized(kind, stored(kind, weights(), None))
    found[7] = np.inf
    assert not within_bound(kind, weights(), found, np.zeros(N_PER_ROW, np.float32))


def test_an_error_in_a_column_of_no_importance_does_not_matter() -> None:
    kind = TENSOR_TYPES["Q4_0"]
    importance = np.ones(N_PER_ROW, np.float32)
    importance[3] = 0
    found = dequantized(kind, stored(kind, weights(), None)).reshape(N_ROWS, N_PER_ROW)
    found[:, 3] = 99
    assert within_bound(kind, weights(), found, importance)
    assert not within_bound(kind, weights(), found)


def test_a_block_that_ggml_itself_loses_is_noticed() -> None:
    kind, rows = TENSOR_TYPES["IQ3_S"], weights()[:, :256].copy()
    rows[:, 64:96] = 0
    target = np.zeros(N_ROWS * kind.row_bytes(256), np.uint8)
    quantize(rows, kind, 256, target)
    assert sample_error(kind, 256, rows, target) > 1
    assert not within_bound(kind, rows, dequantized(kind, target))


@pytest.mark.parametrize(("name", "low", "high"), [("F32", 0, 0), ("Q8_0", 0.004, 0.008), ("Q4_K", 0.06, 0.09)])
def test_a_samples_error_is_relative_to_its_weights(name: str, low: float, high: float) -> None:
    kind = TENSOR_TYPES[name]
    errors = [sample_error(kind, N_PER_ROW, rows, stored(kind, rows, None)) for rows in (weights(), weights() * 8)]
    assert low <= errors[0] <= high
    assert errors[1] == pytest.approx(errors[0], rel=0.01)


def test_rows_and_data_of_different_sizes_have_no_error() -> None:
    kind = TENSOR_TYPES["Q8_0"]
    with pytest.raises(ValueError, match="2176 bytes are not 2 rows of 2048 weights as Q8_0"):
        sample_error(kind, N_PER_ROW, weights()[:2], stored(kind, weights()[:1], None))


def test_no_error_of_no_weights_is_none_and_any_error_of_none_is_infinite() -> None:
    assert (relative_rmse(0, 0), relative_rmse(1, 0), relative_rmse(1, 4)) == (0, float("inf"), 0.5)
