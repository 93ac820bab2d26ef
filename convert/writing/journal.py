"""Journal of a conversion, on disk beside its output, from which a killed conversion resumes.

The journal is a file of records. The first identifies the conversion; each later one is a `ResumePoint`, written only
after the weights before it have reached the disk. The last whole record counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seallm_edge.errors import ConversionError
from seallm_edge.files.record_file import RecordFile, read_records
from seallm_edge.hints import Hint, Option

Errors = Mapping[str, tuple[float, float]]  # by tensor: sum of squared errors, sum of squares

_FORMAT = 1


@dataclass(frozen=True)
class Fingerprint:
    """Identity of a conversion. `source`, `recipe` and `version` are compared; the `…_name`s are for people."""

    source: str
    source_name: str
    recipe: str
    recipe_name: str
    version: str


@dataclass(frozen=True)
class ResumePoint:
    """Resume point: everything before byte `offset` of shard number `shard` is written.

    `digest` is the state of that shard's running sha256 (None where it cannot be saved); `errors` are the sums of
    squared errors and of squares by tensor name, if the pass sums them. `renaming` says that the output is complete,
    checked, and getting its final name.
    """

    shard: int = 0
    offset: int = 0
    digest: bytes | None = None
    errors: Errors = field(default_factory=dict)
    renaming: bool = False

    @property
    def position(self) -> tuple[int, int]:
        """Sort key: shard, then offset."""
        return self.shard, self.offset


class Journal:
    """Journal of one output, open for writing. Its `file` holds the output's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = RecordFile(path)
        self._errors: dict[str, tuple[float, float]] = {}

    def resume(self, fingerprint: Fingerprint) -> ResumePoint | None:
        """The last resume point, None if there is none. Raises ConversionError for another conversion's journal."""
        records = self.file.read()
        if not records:
            return None
        _check_same(self.path, records[0], fingerprint)
        if len(records) == 1:
            return ResumePoint()
        for record in records[1:]:
            self._errors |= {name: (a, b) for name, (a, b) in record["errors"].items()}
        last = records[-1]
        digest = bytes.fromhex(last["digest"]) if last["digest"] else None
        return ResumePoint(last["shard"], last["offset"], digest, dict(self._errors), last["renaming"])

    def begin(self, fingerprint: Fingerprint) -> None:
        """Empty the journal, and write the conversion's fingerprint."""
        self._errors.clear()
        self.file.restart({"format": _FORMAT, **asdict(fingerprint)})

    def record(self, point: ResumePoint) -> None:
        """Append a resume point and sync it. The weights before it must be on the disk. Raises OSError."""
        changed = {name: sums for name, sums in point.errors.items() if self._errors.get(name) != sums}
        self._errors |= changed
        digest = point.digest.hex() if point.digest else None
        self.file.append({**asdict(point), "digest": digest, "errors": changed})


def last_position(path: Path) -> tuple[int, int]:
    """(shard, offset) of the last resume point in a journal, without locking it; (0, 0) if there is none."""
    records = read_records(path)
    return (records[-1]["shard"], records[-1]["offset"]) if len(records) > 1 else (0, 0)


def _check_same(path: Path, first: Mapping[str, Any], now: Fingerprint) -> None:
    """Raise ConversionError that names the difference if the journal is of another conversion."""
    hint = Hint(
        "{restart} starts over; or give another name with {out}", restart=Option("restart", True), out=Option("out")
    )
    begun = path.name.removesuffix(".journal")
    if first.get("format") != _FORMAT or first.get("version") != now.version:
        problem = f"{begun} was begun by {first.get('version')}, and this is {now.version}"
    elif first.get("recipe") != now.recipe:
        problem = f"{begun} was begun as {first.get('recipe_name')}, and this is {now.recipe_name}"
        if first.get("recipe_name") == now.recipe_name:
            problem = (
                f"{begun} was begun with other settings or another tokenizer or config than {now.recipe_name} here"
            )
    elif first.get("source") != now.source:
        problem = f"{begun} was begun from other weights ({first.get('source_name')}) than these ({now.source_name})"
    else:
        return
    raise ConversionError(problem, hint)
