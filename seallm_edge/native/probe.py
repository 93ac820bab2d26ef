"""Probe of backends: scores and trials from child processes, remembered per library and CPU.

Native code that dies takes its process with it, so the first use of a library on a CPU happens in a child
(`probe_child.py`). `verdicts.py` keeps the answers; a changed library or CPU, an emulated one too, asks again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import signal
import subprocess
import sys
from pathlib import Path

from .processor import cpu_identity
from .verdicts import Verdicts

logger = logging.getLogger("seallm_edge.native")

_CHILD = Path(__file__).with_name("probe_child.py")
_TIMEOUT_SECONDS = 60
_CACHE_FORMAT = 2
_TIMED_OUT = 124
# Ends that say nothing of the backend: somebody stopped the child, memory ran out, or the computer was too busy.
_PASSING_ENDS = {_TIMED_OUT, *(-number for number in (1, 2, 9, 15))}  # SIGHUP, SIGINT, SIGKILL, SIGTERM


class Probe:
    """Asks a child process, or the memory of earlier answers. A verdict is "" for good, else the problem."""

    def __init__(self, libllama: Path) -> None:
        self._libllama = libllama
        self._verdicts = Verdicts()
        self._cpu = cpu_identity()

    def scores(self, backends: tuple[Path, ...]) -> dict[Path, int | str]:
        """Each backend's own score on this CPU, 0 for one that cannot run here; the problem where it gave none."""
        key = self._key("score", *backends)
        known = self._verdicts.find(key)
        if not isinstance(known, dict):
            known, is_final = self._ask_scores(backends)
            if is_final:
                self._verdicts.keep(key, known)
        return {path: known.get(path.name, 0) for path in backends}

    def trial(self, backend: Path | None) -> str:
        """The verdict on one CPU backend (None: the linked-in one) after real matrix products."""
        backends = (backend,) if backend else ()
        key = self._key("try one", *backends)
        known = self._verdicts.find(key)
        if not isinstance(known, str):
            result = self._run_child("try", *backends)
            known = _describe_failure(result)
            if result.returncode not in _PASSING_ENDS:
                self._verdicts.keep(key, known)
        return known

    def loads(self, backend: Path) -> str:
        """The verdict on merely loading a backend and reading its score, whatever it is."""
        score = self.scores((backend,))[backend]
        return score if isinstance(score, str) else ""

    def _ask_scores(self, backends: tuple[Path, ...]) -> tuple[dict[str, int | str], bool]:
        """Scores by file name, and whether they will be the same next time. A backend that kills the child has that
        as its problem, and the others are asked again without it.
        """
        scores: dict[str, int | str] = {}
        waiting, is_final = list(backends), True
        while waiting:
            result = self._run_child("score", *waiting)
            is_final = is_final and result.returncode not in _PASSING_ENDS
            for line in result.stdout.splitlines():
                path, _, score = line.rpartition("\t")
                scores[Path(path).name] = int(score) if score.isdecimal() else score
            waiting = [path for path in waiting if path.name not in scores]
            if waiting:
                scores[waiting.pop(0).name] = _describe_failure(result)
        return scores, is_final

    def _run_child(self, verb: str, *backends: Path) -> subprocess.CompletedProcess[str]:
        if getattr(sys, "frozen", False):  # sys.executable is the app itself there, not a Python
            logger.warning("cannot try backends in a child process inside a frozen app")
            from .probe_child import score

            return subprocess.CompletedProcess([], 0, "".join(f"{path}\t{score(str(path))}\n" for path in backends), "")
        command = [sys.executable, "-I", str(_CHILD), verb, str(self._libllama), *map(str, backends)]
        try:
            return subprocess.run(
                command, capture_output=True, text=True, encoding="utf-8", errors="replace",
                stdin=subprocess.DEVNULL, timeout=_TIMEOUT_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, _TIMED_OUT, "", f"no answer within {_TIMEOUT_SECONDS} s")

    def _key(self, question: str, *files: Path) -> str:
        facts = [_CACHE_FORMAT, question, self._cpu]
        for path in (self._libllama, *files):
            status = path.stat()
            facts.append((str(path), status.st_size, status.st_mtime_ns))
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def _describe_failure(result: subprocess.CompletedProcess[str]) -> str:
    """ "" for a child that ended well, else how it ended."""
    if result.returncode == 0:
        return ""
    if result.returncode < 0:
        return f"a trial run died of {signal.Signals(-result.returncode).name}"
    last = result.stderr.strip().splitlines()
    return f"a trial run failed: {last[-1]}" if last else f"a trial run ended with exit code {result.returncode}"
