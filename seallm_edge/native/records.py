"""`Records`: JSON values that count on the machine where they were made, in files of the cache folder.

Knows neither what a record says nor what makes two machines alike: `verdicts.py` and `measurements.py` do.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import paths
from ..files import atomic

_FORMAT = 1
_MAX_BYTES = 1 << 20
_MAX_SUBJECTS = 256
_MAX_MACHINES = 4  # of a subject: a new llama.cpp makes another one of the same computer


class Records:
    """Records of one kind, a JSON value for each subject and machine, in the file `name`. Any thread may call any
    method; of two programs that keep something at the same moment, the last one's file stays.

    `subjects` says in the file what the subjects are; `machine_key` gives this machine's key.
    """

    def __init__(self, name: str, subjects: str, machine_key: Callable[[], str]) -> None:
        self._name = name
        self._subjects = subjects
        self._machine_key = machine_key
        self._lock = threading.Lock()  # held to change the file

    def find(self, subject: str) -> Any:
        """The record of this subject on this machine, unchecked; None if there is none."""
        records = self._read().get(subject)
        return records.get(self._machine_key()) if isinstance(records, dict) else None

    def keep(self, subject: str, record: Any) -> None:
        """Keep `record` in place of an earlier one. Raises OSError where the file cannot be written."""
        with self._lock:
            content = self._read()
            records = content.get(subject)
            known = records if isinstance(records, dict) else {}
            machines = _with_newest(known, self._machine_key(), record, _MAX_MACHINES)
            self._write(_with_newest(content, subject, machines, _MAX_SUBJECTS))

    def forget(self, subject: str) -> bool:
        """Drop a subject's records of all machines; whether there was one. Raises OSError."""
        with self._lock:
            content = self._read()
            if subject not in content:
                return False
            del content[subject]
            self._write(content)
            return True

    def forget_where(self, is_unwanted: Callable[[Any], bool]) -> None:
        """Drop every record, of whichever machine, for which `is_unwanted` holds. Raises OSError."""
        with self._lock:
            content = self._read()
            kept = {subject: _without(records, is_unwanted) for subject, records in content.items()}
            if kept != content:
                self._write({subject: records for subject, records in kept.items() if records})

    def check_writable(self) -> None:
        """Raise OSError where nothing can be kept."""
        folder = self._file().parent
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass

    def _file(self) -> Path:
        return paths.cache_dir() / self._name

    def _read(self) -> dict[str, Any]:
        """{subject: {machine's key: record}}; empty where the file is damaged or of another format."""
        try:
            with self._file().open("rb") as file:
                content = json.loads(file.read(_MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            return {}
        subjects = content.get(self._subjects)
        return subjects if isinstance(subjects, dict) else {}

    def _write(self, content: Mapping[str, Any]) -> None:
        file = self._file()
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(file, json.dumps({"format": _FORMAT, self._subjects: content}))


def key_of(*facts: object) -> str:
    """Key of JSON values: equal for equal ones."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def file_facts(path: Path) -> tuple[str, int, int]:
    """Path, size and time of change: another build of a library differs in one of them. Raises OSError."""
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


def _with_newest(items: Mapping[str, Any], key: str, value: Any, n_max: int) -> dict[str, Any]:
    """`items` with `key` as the newest, last; the oldest beyond `n_max` are dropped."""
    others = [(name, item) for name, item in items.items() if name != key]
    return dict([*others[max(len(others) + 1 - n_max, 0) :], (key, value)])


def _without(records: Any, is_unwanted: Callable[[Any], bool]) -> dict[str, Any]:
    if not isinstance(records, dict):
        return {}
    return {machine: record for machine, record in records.items() if not is_unwanted(record)}
