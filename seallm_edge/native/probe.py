"""Probe of backends: scores and trials from child processes, remembered per library and CPU.

Native code that dies takes its process with it, so the first use of a library on a CPU happens in a child
(`probe_child.py`). `verdicts.py` keeps the answers; a changed library or CPU, an emulated one too, asks again.
"""

from __future__ import annotations

import logging
from pathlib import Path

from . import child
from .processor import cpu_identity
from .records import file_facts, key_of
from .verdicts import Verdicts

logger = logging.getLogger("seallm_edge")

_CHILD = Path(__file__).with_name("probe_child.py")
_TIMEOUT_SECONDS = 60


class Probe:
    """Asks a child process, or the memory of earlier answers. A verdict is "" for good, else the problem."""

    def __init__(self, libllama: Path) -> None:
        self._libllama = libllama
        machine = key_of(cpu_identity(), *file_facts(libllama))
        self._verdicts = Verdicts(lambda: machine)

    def scores(self, backends: tuple[Path, ...], *, anew: bool = False) -> dict[Path, int | str]:
        """Each backend's own score on this CPU, 0 for one that cannot run here; the problem where it gave none. They
        are asked `anew` where the earlier answer proved wrong.
        """
        key = _question("score", *backends)
        known = None if anew else self._verdicts.find(key)
        if not isinstance(known, dict):
            known, is_final = self._ask_scores(backends)
            if is_final:
                self._verdicts.keep(key, known)
        return {path: known.get(path.name, 0) for path in backends}

    def trial(self, backend: Path | None) -> str:
        """The verdict on one CPU backend (None: the linked-in one) after real matrix products."""
        backends = (backend,) if backend else ()
        key = _question("try", *backends)
        known = self._verdicts.find(key)
        if not isinstance(known, str):
            result = self._run_child("try", *backends)
            known = _describe_failure(result)
            if not result.was_stopped:
                self._verdicts.keep(key, known)
        return known

    def loads(self, backend: Path, *, anew: bool = False) -> str:
        """The verdict on merely loading a backend and reading its score, whatever it is."""
        score = self.scores((backend,), anew=anew)[backend]
        return score if isinstance(score, str) else ""

    def _ask_scores(self, backends: tuple[Path, ...]) -> tuple[dict[str, int | str], bool]:
        """Scores by file name, and whether they will be the same next time. A backend that kills the child has that
        as its problem, and the others are asked again without it.
        """
        scores: dict[str, int | str] = {}
        waiting, is_final = list(backends), True
        while waiting:
            result = self._run_child("score", *waiting)
            is_final = is_final and not result.was_stopped
            for line in result.stdout.splitlines():
                path, _, score = line.rpartition("\t")
                scores[Path(path).name] = int(score) if score.isdecimal() else score
            waiting = [path for path in waiting if path.name not in scores]
            if waiting:
                scores[waiting.pop(0).name] = _describe_failure(result)
        return scores, is_final

    def _run_child(self, verb: str, *backends: Path) -> child.Result:
        if not child.can_start():
            logger.warning("cannot try backends in a child process inside a frozen app")
            from .probe_child import score

            return child.Result(0, "".join(f"{path}\t{score(str(path))}\n" for path in backends), "")
        return child.run(_CHILD, verb, str(self._libllama), *map(str, backends), timeout=_TIMEOUT_SECONDS)


def _question(verb: str, *backends: Path) -> str:
    return key_of(verb, *map(file_facts, backends))


def _describe_failure(result: child.Result) -> str:
    """ "" for a child that ended well, else how it ended."""
    if result.code == 0:
        return ""
    if result.is_timed_out:
        return f"a trial run failed: no answer within {_TIMEOUT_SECONDS} s"
    if result.code > 0 and (said := child.tail(result.stderr)):
        return f"a trial run failed: {said[-1]}"
    return f"a trial run {child.end_of(result.code)}"
