"""Outcomes of suites, and their table."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """Outcome of a suite: failures by name, and counts of what was skipped or left out by reason; `log` has more."""

    name: str
    passed: int = 0
    failed: Sequence[str] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    log: Path | None = None

    @property
    def is_good(self) -> bool:
        """Whether nothing failed."""
        return not self.failed


def of_pytest(name: str, report: Path, log: Path) -> Outcome:
    """Outcome by the report of `leave_out`; a pattern that no test matches is a failure."""
    if not report.is_file():
        return Outcome(name, failed=["pytest wrote no report"], log=log)
    found = json.loads(report.read_text(encoding="utf-8"))
    failed = found["failed"] + [f"no test matches {pattern}" for pattern in found["unmatched"]]
    return Outcome(name, found["passed"], failed, found["skipped"], found["left_out"], log)


def of_schemathesis(name: str, output: str, status: int, log: Path) -> Outcome:
    """Outcome by what schemathesis prints: its test cases, and its failures by kind."""
    generated = re.search(r"(\d+) generated", output)
    failed = [f"{kind}: {count}" for kind, count in re.findall(r"❌ (ST\d+ [^:\n]+): (\d+)", output)]
    if status and not failed:
        failed = [f"exit status {status}"]
    count = int(generated[1]) if generated else 0
    return Outcome(name, max(count - len(failed), 0), failed, log=log)


def table(outcomes: Sequence[Outcome]) -> str:
    """Table of the suites, with the reasons and the failures below their rows."""
    lines = [f"{'suite':<18}{'passed':>8}{'failed':>8}{'skipped':>9}{'left out':>10}"]
    for one in outcomes:
        n_skipped, n_left = sum(one.skipped.values()), sum(one.left_out.values())
        lines.append(f"{one.name:<18}{one.passed:>8,}{len(one.failed):>8,}{n_skipped:>9,}{n_left:>10,}")
        for word, reasons in (("skipped", one.skipped), ("left out", one.left_out)):
            lines += [f"    {word} {count:>4,}  {reason[:90]}" for reason, count in reasons.items()]
        lines += [f"    FAILED  {failure[:100]}" for failure in one.failed]
        if one.failed and one.log:
            lines.append(f"    log: {one.log}")
    return "\n".join(lines)
