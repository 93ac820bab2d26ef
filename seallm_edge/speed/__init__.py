"""Speed of a model on this machine, measured, with what limits it; compared with an earlier measurement."""

from __future__ import annotations

from .comparison import Change, Comparison, check_same_model, compare
from .figures import Figure
from .limit import Circumstances, Limit, limit_of
from .measuring import bench_options, measure_speed
from .report import EarlierReport, LanguageSpeed, SpeedReport, read_report

__all__ = [
    "Change",
    "Circumstances",
    "Comparison",
    "EarlierReport",
    "Figure",
    "LanguageSpeed",
    "Limit",
    "SpeedReport",
    "bench_options",
    "check_same_model",
    "compare",
    "limit_of",
    "measure_speed",
    "read_report",
]
