"""Verdicts on backends, kept in the cache folder: what was good stays so, a refusal counts for a day.

Knows answers by their keys; who asks, and what a key stands for, is the probe's.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from .. import paths
from ..files import atomic

logger = logging.getLogger("seallm_edge.native")

REFUSAL_SECONDS = 24 * 3600
# A verdict, "" for good; or scores by file name, each with a problem in place of the number where there was one.
Answer = str | dict[str, int | str]


class Verdicts:
    """Answers on disk. A file that cannot be read holds none, and one that cannot be written is no obstacle."""

    def __init__(self) -> None:
        self._file = paths.cache_dir() / "backends.json"

    def find(self, key: str) -> Answer | None:
        """The answer that was kept under `key`; None if there is none, or if it is a refusal and a day old."""
        entry = self._read().get(key)
        if entry is None or not _is_entry(entry):
            return None
        answer: Answer = entry["answer"]
        is_fresh = 0 <= time.time() - entry["time"] < REFUSAL_SECONDS
        return answer if is_fresh or not _names_a_problem(answer) else None

    def keep(self, key: str, answer: Answer) -> None:
        """Keep `answer` under `key`, in place of what was there."""
        self._write({**self._read(), key: {"answer": answer, "time": time.time()}})

    def forget_refusals(self) -> None:
        """Drop every answer that refuses a backend, scores of 0 too, so that it is asked again."""
        entries = self._read()
        good = {key: entry for key, entry in entries.items() if _is_entry(entry) and not _refuses(entry["answer"])}
        if len(good) < len(entries):
            self._write(good)

    def _read(self) -> dict[str, Any]:
        try:
            entries = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def _write(self, entries: dict[str, Any]) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_text(self._file, json.dumps(entries))
        except OSError as error:
            logger.info("verdicts on CPU variants are not kept: %s", error)


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("time"), int | float):
        return False
    answer = entry.get("answer")
    scores = answer.values() if isinstance(answer, dict) else ()
    return isinstance(answer, str | dict) and all(isinstance(score, int | str) for score in scores)


def _names_a_problem(answer: Answer) -> bool:
    if isinstance(answer, str):
        return bool(answer)
    return any(isinstance(score, str) for score in answer.values())


def _refuses(answer: Answer) -> bool:
    return _names_a_problem(answer) or (isinstance(answer, dict) and 0 in answer.values())
