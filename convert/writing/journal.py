"""Journal of a conversion, on disk beside its output, from which a killed conversion resumes.

The journal is a file of lines. The first identifies the conversion; each later one is a `ResumePoint`, written only
after the weights before it have reached the disk. The last whole line counts: a line cut off by a power loss is
ignored.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seallm_edge.errors import ConversionError
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
    """Journal of one output, open for writing. Its descriptor holds the output's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("a+b", buffering=0)  # created if it is not there, never emptied by opening
        self._errors: dict[str, tuple[float, float]] = {}

    def resume(self, fingerprint: Fingerprint) -> ResumePoint | None:
        """The last resume point, None if there is none. Raises ConversionError for another conversion's journal."""
        self.file.seek(0)
        lines, n_bytes = _whole_lines(self.file.read())
        if not lines:
            return None
        _check_same(self.path, lines[0], fingerprint)
        self.file.truncate(n_bytes)  # what follows must not be appended to half a line
        if len(lines) == 1:
            return ResumePoint()
        for line in lines[1:]:
            self._errors |= {name: (a, b) for name, (a, b) in line["errors"].items()}
        last = lines[-1]
        digest = bytes.fromhex(last["digest"]) if last["digest"] else None
        return ResumePoint(last["shard"], last["offset"], digest, dict(self._errors), last["renaming"])

    def begin(self, fingerprint: Fingerprint) -> None:
        """Empty the journal, and write the conversion's fingerprint."""
        self._errors.clear()
        self.file.truncate(0)
        self._append({"format": _FORMAT, **asdict(fingerprint)})

    def record(self, point: ResumePoint) -> None:
        """Append a resume point and sync it. The weights before it must be on the disk. Raises OSError."""
        changed = {name: sums for name, sums in point.errors.items() if self._errors.get(name) != sums}
        self._errors |= changed
        digest = point.digest.hex() if point.digest else None
        self._append({**asdict(point), "digest": digest, "errors": changed})

    def is_in_place(self) -> bool:
        """Whether the journal's path is still the open file."""
        return self.path.exists() and os.path.samestat(self.path.stat(), os.fstat(self.file.fileno()))

    def remove(self) -> None:
        """Remove the journal's file. Closing it releases the lock."""
        if os.name == "nt":  # which cannot remove an open file
            self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the journal's file, and keep it."""
        with contextlib.suppress(OSError):  # a full disk was reported when the line was written
            self.file.close()

    def _append(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line).encode()
        rest = b"%08x %s\n" % (zlib.crc32(text), text)
        while rest:
            rest = rest[self.file.write(rest) :]
        os.fsync(self.file.fileno())


def _whole_lines(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """Lines before the first incomplete one, and their number of bytes."""
    found, n_bytes = [], 0
    for line in data.splitlines(keepends=True):
        checksum, _, text = line.removesuffix(b"\n").partition(b" ")
        if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
            break
        found.append(json.loads(text))
        n_bytes += len(line)
    return found, n_bytes


def _check_same(path: Path, line: Mapping[str, Any], now: Fingerprint) -> None:
    """Raise ConversionError that names the difference if the journal is of another conversion."""
    hint = Hint(
        "{restart} starts over; or give another name with {out}", restart=Option("restart", True), out=Option("out")
    )
    begun = path.name.removesuffix(".journal")
    if line.get("format") != _FORMAT or line.get("version") != now.version:
        problem = f"{begun} was begun by {line.get('version')}, and this is {now.version}"
    elif line.get("recipe") != now.recipe:
        problem = f"{begun} was begun as {line.get('recipe_name')}, and this is {now.recipe_name}"
        if line.get("recipe_name") == now.recipe_name:
            problem = (
                f"{begun} was begun with other settings or another tokenizer or config than {now.recipe_name} here"
            )
    elif line.get("source") != now.source:
        problem = f"{begun} was begun from other weights ({line.get('source_name')}) than these ({now.source_name})"
    else:
        return
    raise ConversionError(problem, hint)
