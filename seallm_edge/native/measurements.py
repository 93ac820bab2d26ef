"""What was measured of models on this machine, and the files of the cache folder that keep it.

A record counts only where it was made: on this processor, with as many usable cores, this very llama.cpp and the same
`SEALLM_CPU_VARIANT`. Nothing that a file says is checked here beyond its outer form: whoever reads a record does.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import paths
from ..files import atomic
from ..machine import this_machine
from . import symbols
from .backends import forced_variant
from .processor import cpu_identity

_FORMAT = 1
_MAX_BYTES = 1 << 20
_MAX_MODELS = 256
_MAX_MACHINES = 4  # of a model: a new llama.cpp makes another one of the same computer


class Records:
    """Records of one kind, a JSON object for a model and a machine, in the file of that name. Any thread may call any
    method; of two programs that keep something at the same moment, the last one's file stays.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()  # held to change the file

    def find(self, model_fingerprint: str) -> Any:
        """What was kept for this model on this machine, whatever it is; None if nothing was. Raises EngineError
        without llama.cpp.
        """
        records = self._read().get(model_fingerprint)
        return records.get(_machine_key()) if isinstance(records, dict) else None

    def keep(self, model_fingerprint: str, record: Mapping[str, Any]) -> None:
        """Keep `record` for this model on this machine, in place of what was. Raises OSError where that is
        impossible.
        """
        with self._lock:
            models = self._read()
            records = models.get(model_fingerprint)
            machines = _with_newest(
                records if isinstance(records, dict) else {}, _machine_key(), dict(record), _MAX_MACHINES
            )
            self._write(_with_newest(models, model_fingerprint, machines, _MAX_MODELS))

    def forget(self, model_fingerprint: str) -> bool:
        """Drop what was kept for this model, on whichever machine; whether there was anything. Raises OSError."""
        with self._lock:
            models = self._read()
            if model_fingerprint not in models:
                return False
            del models[model_fingerprint]
            self._write(models)
            return True

    def _file(self) -> Path:
        return paths.cache_dir() / self._name

    def _read(self) -> dict[str, Any]:
        """{model's fingerprint: {machine's key: record}}; empty where the file is none of ours."""
        try:
            with self._file().open("rb") as file:
                content = json.loads(file.read(_MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            return {}
        models = content.get("models")
        return models if isinstance(models, dict) else {}

    def _write(self, models: Mapping[str, Any]) -> None:
        file = self._file()
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(file, json.dumps({"format": _FORMAT, "models": models}))


def _with_newest(items: Mapping[str, Any], key: str, value: Any, most: int) -> dict[str, Any]:
    """`items` with one more at the end, in place of its like; the oldest go where they are too many."""
    others = [(name, item) for name, item in items.items() if name != key]
    return dict([*others[max(len(others) + 1 - most, 0) :], (key, value)])


def _machine_key() -> str:
    library = symbols.libllama_path()
    status = library.stat()
    facts = [cpu_identity(), this_machine().cores_usable, forced_variant()]
    facts += [str(library), status.st_size, status.st_mtime_ns]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
