"""`Figure`: a quantity measured several times, with its median and spread. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """Samples of one quantity, at least one, in the order of measuring."""

    samples: tuple[float, ...]

    @classmethod
    def of(cls, samples: Sequence[float]) -> Figure:
        """Figure of these samples."""
        return cls(tuple(samples))

    @property
    def median(self) -> float:
        """Median of the samples."""
        return float(median(self.samples))

    @property
    def low(self) -> float:
        """Lowest sample."""
        return min(self.samples)

    @property
    def high(self) -> float:
        """Highest sample."""
        return max(self.samples)

    def scaled(self, factor: float) -> Figure:
        """Figure with all samples times `factor`."""
        return Figure(tuple(sample * factor for sample in self.samples))

    def overlaps(self, other: Figure) -> bool:
        """Whether the spreads of both, from the lowest to the highest sample, have a value in common."""
        return self.low <= other.high and other.low <= self.high

    def words(self, form: Callable[[float], str]) -> tuple[str, str]:
        """(median, spread) in words; the spread of one sample is ""."""
        spread = f"{form(self.low)} to {form(self.high)}" if len(self.samples) > 1 else ""
        return form(self.median), spread

    def as_dict(self) -> dict[str, Any]:
        """Median, spread and samples as plain JSON values, rounded to six digits."""
        rounded = [_rounded(value) for value in (self.median, self.low, self.high)]
        return dict(zip(("median", "low", "high"), rounded, strict=True)) | {
            "samples": [_rounded(sample) for sample in self.samples]
        }


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
