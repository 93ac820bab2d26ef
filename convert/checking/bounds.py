"""Quantization error of each tensor type, and an upper bound on it for a block.

A block beyond its type's bound is damaged: it holds other weights, has a flipped bit in its scale, or comes from a
miscompiled quantizer. Some blocks are lost by ggml itself: in IQ3_S where 32 consecutive weights are zero, in IQ1_M
without importance where weights have heavy tails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seallm_edge.native import quantizer

if TYPE_CHECKING:
    import numpy.typing as npt

    from seallm_edge.gguf_file.types import TensorType
    from seallm_edge.native.quantizer import Bytes, Floats

_HALF_F16_STEP = 2.0**-25  # of the numbers next to zero


@dataclass(frozen=True)
class Bound:
    """Bound of a block's root mean square error: max(`of_max` * largest weight, `of_rms` * root mean square), plus
    `reach` times half the smallest step of an f16 scale.

    `reach` is the largest multiple of the scale that a weight can be. If the quantizer uses importance (`weighted`),
    squared errors are weighted by their columns' importance.
    """

    of_max: float
    of_rms: float = 0.0
    reach: float = 0.0
    weighted: bool = True


# Steps are relative to the largest weight; errors uniform over a step have a root mean square of step/√12. The bounds
# of IQ1 to IQ3 are measured: the largest errors over blocks of many distributions, with a margin.
BOUNDS = {
    "F32": Bound(0.0, weighted=False),
    "F16": Bound(2.0**-11, reach=1, weighted=False),  # half a step of 11 significant bits
    "BF16": Bound(2.0**-8, weighted=False),  # half a step of 8 significant bits
    "Q8_0": Bound(0.0045, reach=127, weighted=False),  # half a step of 1/127, and the scale's own rounding, 2^-11
    "Q4_0": Bound(0.13, reach=8),  # -8 to 7: a whole step of 1/8 where the far end of +8 is cut
    "Q5_0": Bound(0.065, reach=16),  # -16 to 15: likewise 1/16
    "Q4_1": Bound(0.07, reach=16),  # half a step of 2/15
    "Q5_1": Bound(0.034, reach=32),  # half a step of 2/31
    "Q2_K": Bound(0.2, reach=60),  # steps of 2/3 over √12: 0.19
    "Q3_K": Bound(0.16, reach=128),  # -4 to 3: where all weights are ±1, 0.14 is the least
    "Q4_K": Bound(0.05, reach=1008),  # steps of 2/15 over √12: 0.039; scales of 6 bits add to it
    "Q5_K": Bound(0.03, reach=2016),  # steps of 2/31 over √12: 0.019; likewise
    "Q6_K": Bound(0.02, reach=4096),  # steps of 1/32 over √12: 0.009; scales of 8 bits
    "IQ4_NL": Bound(0.08, reach=127),  # -127 to 113: 0.058 where all weights are ±1
    "IQ4_XS": Bound(0.08, reach=4064),  # likewise
    "IQ3_S": Bound(0.1, 0.45, reach=465),
    "IQ3_XXS": Bound(0.12, 0.5, reach=480),
    "IQ2_S": Bound(0.2, 0.5, reach=167),
    "IQ2_XS": Bound(0.2, 0.55, reach=167),
    "IQ2_XXS": Bound(0.25, 0.8, reach=167),
    "IQ1_M": Bound(0.3, 0.95, reach=17),
    "IQ1_S": Bound(0.3, 0.95, reach=17),
    "MXFP4": Bound(0.15, 0.3, weighted=False),  # 4 to 6 is the widest step, and 8 is cut to 6: a quarter of it
    "NVFP4": Bound(0.1, 0.2, reach=6 * 2**15, weighted=False),  # scales have 3 bits, and steps of 2^-9 next to zero
    "TQ1_0": Bound(0.0, 1.001, reach=1, weighted=False),  # 0 or ±the largest weight, whichever is nearer
    "TQ2_0": Bound(0.0, 1.001, reach=1, weighted=False),
    "Q2_0": Bound(0.0, 1.001, reach=2, weighted=False),
    "Q1_0": Bound(0.0, 1.001, reach=1, weighted=False),  # ±the mean, which is nearer to them all than 0
}


def dequantized(kind: TensorType, data: Bytes) -> Floats:
    """Weights of `data`, whole blocks of `kind`, in f32."""
    if kind.name == "F32":
        return data.view(np.float32)
    weights = np.empty(data.size // kind.n_bytes * kind.block, np.float32)
    quantizer.widen(data, kind.name, weights)
    return weights


def squared_errors(rows: Floats, found: Floats) -> tuple[float, float]:
    """(sum of the squared differences, sum of the squares of `rows`), summed in f64."""
    wanted = rows.ravel().astype(np.float64)
    error = wanted - found.ravel()
    return float(error @ error), float(wanted @ wanted)


def relative_rmse(squared_error: float, squared: float) -> float:
    """Root mean square error relative to the weights' root mean square; 0 where both are 0."""
    if squared == 0:
        return 0.0 if squared_error == 0 else float("inf")
    return float((squared_error / squared) ** 0.5)


def sample_error(kind: TensorType, n_per_row: int, rows: Floats, data: Bytes) -> float:
    """Relative root mean square error of `data`, which stores `rows` of `n_per_row` weights as `kind`.

    Raises ValueError where the sizes do not match.
    """
    n_rows = rows.size // n_per_row
    if data.size != n_rows * kind.row_bytes(n_per_row):
        raise ValueError(f"{data.size} bytes are not {n_rows} rows of {n_per_row} weights as {kind.name}")
    return relative_rmse(*squared_errors(rows, dequantized(kind, data)))


def within_bound(kind: TensorType, rows: Floats, found: Floats, importance: Floats | None = None) -> bool:
    """Whether every block of `found`, read back from `kind`, is within the type's bound of the block in `rows`.

    `importance` is the quantizer's, a number for each column.
    """
    bound = BOUNDS[kind.name]
    if not np.isfinite(found).all():
        return False
    wanted = rows.reshape(-1, kind.block).astype(np.float64)
    error = wanted - found.reshape(-1, kind.block)
    shares = _shares(importance, wanted.shape) if importance is not None and bound.weighted else 1.0
    rms_error = np.sqrt((shares * error * error).mean(axis=1))
    rms = np.sqrt((shares * wanted * wanted).mean(axis=1))
    allowed = np.maximum(bound.of_max * np.abs(wanted).max(axis=1), bound.of_rms * rms)
    return bool((rms_error <= allowed + bound.reach * _HALF_F16_STEP).all())


def _shares(importance: Floats, blocks: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Importance of each weight in its block, 1 on average; 0 throughout a block without importance."""
    of_row = importance.reshape(-1, blocks[1]).astype(np.float64)
    mean = of_row.mean(axis=1, keepdims=True)
    return np.tile(of_row / np.where(mean > 0, mean, 1.0), (blocks[0] // len(of_row), 1))
