"""Verdicts on backends, as `Records` in the cache folder: a good one stays, a refusal counts for a day.

Knows answers by their keys; the probe asks, and knows what a key stands for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from .records import Records

logger = logging.getLogger("seallm_edge.native")

REFUSAL_SECONDS = 24 * 3600
# A verdict, "" for good; or scores by file name, each with a problem in place of the number where there was one.
Answer = str | dict[str, int | str]


class Verdicts:
    """Answers on disk. A file that cannot be read holds none, and one that cannot be written is no obstacle."""

    def __init__(self, machine_key: Callable[[], str]) -> None:
        self._records = _records(machine_key)

    def find(self, question: str) -> Answer | None:
        """The kept answer; None if there is none, or if it is a refusal and a day old."""
        entry = self._records.find(question)
        if not _is_entry(entry):
            return None
        answer: Answer = entry["answer"]
        is_fresh = 0 <= time.time() - entry["time"] < REFUSAL_SECONDS
        return answer if is_fresh or not _names_a_problem(answer) else None

    def keep(self, question: str, answer: Answer) -> None:
        """Keep `answer` in place of an earlier one. A disk error is logged, never raised."""
        try:
            self._records.keep(question, {"answer": answer, "time": time.time()})
        except OSError as error:
            logger.info("verdicts on CPU variants are not kept: %s", error)


def forget_refusals() -> None:
    """Drop every answer that refuses a backend, scores of 0 too, so that it is asked again. A disk error is logged."""
    try:
        _records().forget_where(_is_refusal)
    except OSError as error:
        logger.info("refusals of CPU variants are not forgotten: %s", error)


def _records(machine_key: Callable[[], str] = str) -> Records:
    """Verdicts by question; the machine's key is needed to find or keep one."""
    return Records("backends.json", "questions", machine_key)


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


def _is_refusal(entry: Any) -> bool:
    if not _is_entry(entry):
        return True
    answer = entry["answer"]
    return _names_a_problem(answer) or (isinstance(answer, dict) and 0 in answer.values())
