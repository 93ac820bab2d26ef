"""What measuring has found to be fastest for a model on this machine, and the file that keeps it.

A record counts only where it was made: on this processor, with as many usable cores, this very llama.cpp and the same
`SEALLM_CPU_VARIANT`. Nothing is trusted that the file says: what is damaged, strange or out of range is not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from . import paths
from .machine import this_machine
from .native import symbols
from .native.library import forced_variant
from .native.probe import cpu_identity

_FORMAT = 1
_MOST_BYTES = 1 << 20
_MOST_MODELS = 256
_BATCHES = range(16, 2_049)
_GAINS = (1.0, 100.0)
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Tuned:
    """Settings that were measured: CPU `threads`, prompt tokens read at once, whether weights are repacked, the CPU
    variant; `gain` is how many times as fast as the defaults they were, 1.0 where the defaults are the best.
    """

    threads: int
    n_batch: int
    repack: bool
    variant: str
    gain: float


def find(model_fingerprint: str) -> Tuned | None:
    """What was kept for this model on this machine; None if nothing was. Raises EngineError without llama.cpp."""
    records = _read().get(model_fingerprint)
    return _checked(records.get(_machine_key())) if isinstance(records, dict) else None


def keep(model_fingerprint: str, tuned: Tuned) -> None:
    """Keep `tuned` for this model on this machine, in place of what was. Raises OSError where that is impossible."""
    models = _read()
    records = models.pop(model_fingerprint, None)
    kept = {**(records if isinstance(records, dict) else {}), _machine_key(): asdict(tuned)}
    _write({**dict(list(models.items())[1 - _MOST_MODELS :]), model_fingerprint: kept})


def forget(model_fingerprint: str) -> bool:
    """Drop what was kept for this model, on whichever machine; whether there was anything. Raises OSError."""
    models = _read()
    if model_fingerprint not in models:
        return False
    del models[model_fingerprint]
    _write(models)
    return True


def _checked(record: Any) -> Tuned | None:
    if not isinstance(record, dict) or record.keys() != {field.name for field in fields(Tuned)}:
        return None
    threads, n_batch, variant, gain = (record[name] for name in ("threads", "n_batch", "variant", "gain"))
    is_good = (
        type(threads) is int  # a bool is an int too
        and 1 <= threads <= this_machine().cores_usable
        and type(n_batch) is int
        and n_batch in _BATCHES
        and isinstance(record["repack"], bool)
        and isinstance(variant, str)
        and 0 < len(variant) <= _LONGEST_NAME
        and variant.isprintable()
        and type(gain) in (int, float)
        and _GAINS[0] <= gain <= _GAINS[1]
    )
    return Tuned(**{**record, "gain": float(gain)}) if is_good else None


def _machine_key() -> str:
    library = symbols.libllama_path()
    status = library.stat()
    facts = [cpu_identity(), this_machine().cores_usable, forced_variant()]
    facts += [str(library), status.st_size, status.st_mtime_ns]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def _file() -> Path:
    return paths.cache_dir() / "tuning.json"


def _read() -> dict[str, Any]:
    """{model's fingerprint: {machine's key: record}}, nothing of it checked; empty where the file is none of ours."""
    try:
        with _file().open("rb") as file:
            content = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        return {}
    models = content.get("models")
    return models if isinstance(models, dict) else {}


def _write(models: Mapping[str, Any]) -> None:
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_suffix(f".{os.getpid()}")
    try:
        scratch.write_text(json.dumps({"format": _FORMAT, "models": models}), encoding="utf-8")
        scratch.replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise
