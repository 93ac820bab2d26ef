"""Plugin for pytest in a suite's own environment: leaves out the tests that cannot apply, and reports the outcomes.

`SEALLM_PEER_RULES` has the patterns with their reasons, and the file of the report. A pattern is matched with a test's
id, where `*` stands for any characters; one that begins with `mark:` with the names of a test's marks.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

RULES: dict[str, Any] = json.loads(os.environ["SEALLM_PEER_RULES"])
_PATTERNS = {
    pattern: re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL) for pattern in RULES["left_out"]
}
_left_out: Counter[str] = Counter()  # by pattern
_skipped: Counter[str] = Counter()  # by reason
_failed: list[str] = []
_n_passed = 0


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a pattern matches."""
    found = {item: _pattern_of(item) for item in items}
    _left_out.update(pattern for pattern in found.values() if pattern)
    config.hook.pytest_deselected(items=[item for item, pattern in found.items() if pattern])
    items[:] = [item for item, pattern in found.items() if not pattern]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count an outcome."""
    global _n_passed
    if report.failed:
        if report.nodeid not in _failed:
            _failed.append(report.nodeid)
    elif report.skipped:
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
        _skipped[str(text).removeprefix("Skipped: ")] += 1
    elif report.when == "call":
        _n_passed += 1


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A file that cannot be read is a failure."""
    if report.failed:
        _failed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write the report."""
    reasons: Counter[str] = Counter()
    for pattern, count in _left_out.items():
        reasons[RULES["left_out"][pattern]] += count
    found = {
        "passed": _n_passed,
        "failed": _failed,
        "skipped": _skipped,
        "left_out": reasons,
        "unmatched": [pattern for pattern in _PATTERNS if not _left_out[pattern]],
    }
    Path(RULES["report"]).write_text(json.dumps(found), encoding="utf-8")


def _pattern_of(item: pytest.Item) -> str | None:
    names = [item.nodeid, *(f"mark:{mark.name}" for mark in item.iter_markers())]
    return next((pattern for pattern, found in _PATTERNS.items() if any(map(found.fullmatch, names))), None)
