"""Child processes that run native code: a crash there is an error here, and the memory is not this process's.

Knows how a child starts and ends, and how an EngineError crosses over. What is asked and answered is the caller's.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..hints import Hint

AGAIN = "close other programs and try again"
_CHILD_ARGUMENT = "--seallm-edge-child"
_serves_frozen_app = False
TAIL_LINES = 4  # of the log of a child that failed
_STOPPED = (-1, -2, -9, -15)  # SIGHUP, SIGINT, SIGKILL, SIGTERM


@dataclass(frozen=True)
class Result:
    """Exit code and output of a child process that ended. A negative code is a signal's number; `is_timed_out` says
    that the child was killed because its time was up.
    """

    code: int
    stdout: str
    stderr: str
    is_timed_out: bool = False

    @property
    def was_stopped(self) -> bool:
        """Whether the end says nothing about the native code: a signal from outside, no memory, or a busy computer."""
        return self.is_timed_out or self.code in _STOPPED


def can_start() -> bool:
    """Whether children can be started. `sys.executable` of a frozen app is the app, which must know what to do then:
    `serve_frozen_app` has to be called before it begins.
    """
    return not _is_frozen() or _serves_frozen_app


def serve_frozen_app() -> None:
    """If a frozen app was started as a child of itself, be that child, and end. Called before the app begins."""
    global _serves_frozen_app
    _serves_frozen_app = True
    if sys.argv[1:2] == [_CHILD_ARGUMENT]:
        _, _, module, *arguments = sys.argv
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__")
        sys.exit()


def command(target: Path | str, *arguments: str) -> list[str]:
    """Command line of a Python child: a script that imports nothing of the package, or a module of it by name."""
    if _is_frozen():
        module = f"{__package__}.{target.stem}" if isinstance(target, Path) else target
        return [sys.executable, _CHILD_ARGUMENT, module, *arguments]
    how = ["-I", str(target)] if isinstance(target, Path) else ["-P", "-m", target]
    return [sys.executable, *how, *arguments]


def environment(**changes: str) -> dict[str, str]:
    """Environment of a child. A failed assertion of ggml would start a debugger, unless told not to."""
    return {**os.environ, "GGML_NO_BACKTRACE": "1", **changes}


def run(target: Path | str, *arguments: str, timeout: float, request: str = "") -> Result:
    """Run a child to its end, with `request` on its stdin. After `timeout` seconds it is killed."""
    line = command(target, *arguments)
    try:
        ended = subprocess.run(
            line, input=request, capture_output=True, text=True, encoding="utf-8", errors="replace",
            timeout=timeout, check=False, env=environment(),
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        return Result(-9, "", _text(error.stderr), is_timed_out=True)
    return Result(ended.returncode, ended.stdout, ended.stderr)


def end_of(code: int) -> str:
    """End of a child in words, from its exit code."""
    return f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def death(subject: str, code: int, stderr: str, hint: str | Hint) -> EngineError:
    """Error for a child that ended without an answer. `subject` is what it did; `hint` helps where memory did not
    run out.
    """
    if code == -9:  # SIGKILL, which Windows does not have
        return EngineError(f"{subject} was killed, most likely because memory ran out", AGAIN, tail(stderr))
    return EngineError(f"{subject} {end_of(code)}", hint, tail(stderr))


def tail(stderr: str) -> list[str]:
    """Last lines of a log, stripped, without empty ones."""
    return [line.strip() for line in stderr.splitlines() if line.strip()][-TAIL_LINES:]


def error_as_data(error: EngineError) -> dict[str, Any]:
    """JSON answer of a child that can only refuse."""
    return {"error": error.message.partition("\n")[0], "hint": error.hint.as_data(), "log_tail": error.log_tail}


def raise_refusal(answer: Mapping[str, Any]) -> None:
    """Raise the EngineError that an answer holds, if it holds one."""
    if "error" in answer:
        log_tail: Sequence[str] = answer["log_tail"]
        raise EngineError(answer["error"], Hint.from_data(answer["hint"]), log_tail)


def answer_request(answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
    """Answer the JSON request on stdin by JSON on stdout, as a child does. What cannot be answered is an answer too,
    with its `error`; the log goes to stderr.
    """
    be_first_to_be_killed()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    try:
        found = answer(json.load(sys.stdin.buffer))
    except EngineError as error:
        found = error_as_data(error)
    json.dump(found, sys.stdout)


def be_first_to_be_killed() -> None:
    """Let Linux kill this process, rather than its parent, where memory runs out. Called by a child."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _is_frozen() -> bool:
    return bool(getattr(sys, "frozen", False))


def _text(output: bytes | str | None) -> str:
    return output.decode("utf-8", "replace") if isinstance(output, bytes) else output or ""
