"""Files beside a GGUF: `FILE.sha256` with the hashes, `NAME.report.json` of its conversion; GGUFs that are no model."""

from __future__ import annotations

import re
from pathlib import Path

SIDECAR_SUFFIX = ".sha256"
REPORT_SUFFIX = ".report.json"
_ENDING = re.compile(r"(-\d{5}-of-\d{5})?\.gguf$")
_COMPANION_GGUF = re.compile(r"(^|[-_.])(mmproj|imatrix)", re.IGNORECASE)


def sidecar_of(path: Path) -> Path:
    """Path of the sidecar that lists the sha256 of `path`, or of all parts if it is a first part."""
    return path.with_name(path.name + SIDECAR_SUFFIX)


def report_of(path: Path) -> Path:
    """Path of a model's report: beside the file, or beside the first part of a split model."""
    return path.with_name(_ENDING.sub("", path.name) + REPORT_SUFFIX)


def companions(path: Path) -> tuple[Path, ...]:
    """Files beside a model's file that go with it, as far as they are there."""
    return tuple(file for file in (sidecar_of(path), report_of(path)) if file.is_file())


def is_companion_gguf(name: str) -> bool:
    """Whether a GGUF goes with a model and is none, by its name: a projector of images, an importance matrix."""
    return _COMPANION_GGUF.search(name) is not None
