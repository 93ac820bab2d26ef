"""Download of one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .source import RemoteSource

Progress = Callable[[int, int], None]  # bytes hashed so far, bytes in all


def download(source: RemoteSource, path: Path, *, progress: Progress | None = None) -> str:
    """Download `source` to `path`; its sha256."""
    raise NotImplementedError
