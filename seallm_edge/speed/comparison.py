"""`compare`: a report beside an earlier one of the same model: ratios, and whether they mean anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidOption
from .figures import Figure
from .report import EarlierReport, SpeedReport

_SECONDS = ", s"  # end of the names of figures of which less is better


@dataclass(frozen=True)
class Change:
    """Figure of both reports. `times_as_fast` compares the medians: above 1 the new one is faster."""

    name: str
    before: Figure
    now: Figure

    @property
    def times_as_fast(self) -> float:
        """Ratio of the medians."""
        ratio = self.now.median / self.before.median
        return 1 / ratio if self.name.endswith(_SECONDS) else ratio

    @property
    def is_within_spread(self) -> bool:
        """Whether the spreads overlap, so that the difference may be chance; also where one has no spread."""
        return self.before.overlaps(self.now) or min(len(self.before.samples), len(self.now.samples)) == 1

    def as_dict(self) -> dict[str, Any]:
        """Medians, ratio and verdict as plain JSON values."""
        return {
            "before": self.before.median,
            "now": self.now.median,
            "times_as_fast": round(self.times_as_fast, 3),
            "is_within_spread": self.is_within_spread,
        }


@dataclass(frozen=True)
class Comparison:
    """Changes of all figures that both reports have, and the `differences` of machine and settings, in words."""

    earlier: str
    changes: tuple[Change, ...]
    differences: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return {
            "earlier": self.earlier,
            "differences": list(self.differences),
            "figures": {change.name: change.as_dict() for change in self.changes},
        }


def check_same_model(earlier: EarlierReport, fingerprint: str, model: str) -> None:
    """Check that an earlier report is of this model. Raises InvalidOption."""
    if earlier.fingerprint != fingerprint:
        raise InvalidOption(
            f"{earlier.name} is of another model file: {earlier.model}, and this is {model}",
            "compare with a report of the same file",
        )


def compare(earlier: EarlierReport, report: SpeedReport) -> Comparison:
    """Comparison with an earlier report of the same model."""
    changes = [
        Change(name, earlier.figures[name], figure)
        for name, figure in report.figures.items()
        if name in earlier.figures
    ]
    differences = [
        *_differences(earlier.machine, report.machine),
        *_differences(earlier.settings, report.settings),
    ]
    return Comparison(earlier.name, tuple(changes), tuple(differences))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {before.get(name)}, now {value}" for name, value in now.items() if before.get(name) != value]
