"""Default model of this computer, as its user set it, and when models were used last."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

from .. import paths
from ..errors import StoreError
from ..files import atomic
from . import index

_USED = "used.json"
_USED_AGAIN_SECONDS = 60.0  # a time is not written more often


def default_model() -> str | None:
    """Name of the default model that the user set; None without one. It may not be installed any more."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return paths.default_model_file().read_text(encoding="utf-8").strip() or None
    return None


def set_default_model(name: str | None) -> None:
    """Set the default model's name, None for none. Raises StoreError."""
    file = paths.default_model_file()
    try:
        if name is None:
            file.unlink(missing_ok=True)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_text(file, name + "\n")
    except OSError as error:
        raise StoreError(f"cannot write {file}: {error.strerror or error}", "check its permissions") from error


def mark_used(path: Path) -> None:
    """Note that a model was loaded now. Where the home cannot be written, nothing is noted."""
    used, written, now = used_times(), index.relative(path), time.time()
    if now - used.get(written, 0) < _USED_AGAIN_SECONDS:
        return
    with contextlib.suppress(OSError):
        paths.cache_dir().mkdir(parents=True, exist_ok=True)
        atomic.write_text(paths.cache_dir() / _USED, json.dumps(used | {written: now}, ensure_ascii=False, indent=1))


def last_used(path: Path) -> float | None:
    """When a model was loaded last, in seconds since 1970; None where that is unknown."""
    return used_times().get(index.relative(path))


def used_times() -> dict[str, float]:
    """When models were loaded last, in seconds since 1970, by path as the index writes it."""
    with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):
        data = json.loads((paths.cache_dir() / _USED).read_text(encoding="utf-8"))
        return {str(path): float(when) for path, when in data.items() if isinstance(when, int | float)}
    return {}
