"""`SpeedProcess`: the parent's side of `bench_child.py`: one line of JSON asked, one answered."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import psutil

from ..errors import EngineError
from ..hints import Command, Hint
from ..native.backends import BUILT_IN

_TAIL_LINES = 4


class SpeedProcess:
    """A child with a model of these settings. It starts at once and loads in `load`. `close()` ends it.

    Raises EngineError where no child can be started.
    """

    def __init__(self, path: Path, variant: str, *, repack: bool, gpu_layers: int) -> None:
        if getattr(sys, "frozen", False):  # sys.executable is the app itself there, not a Python
            raise EngineError("speeds cannot be measured inside a frozen app", "use the seallm command")
        self._name = f"{path.name} on {variant}{'' if repack else ', not repacked,'}"
        self._request = {"path": str(path), "repack": repack, "gpu_layers": gpu_layers}
        self._is_loaded = False
        environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}  # an assertion of ggml would start a debugger
        if variant != BUILT_IN:
            environment["SEALLM_CPU_VARIANT"] = variant
        process = self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"{__package__}.bench_child"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        )  # fmt: skip
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._words: deque[bytes] = deque(maxlen=_TAIL_LINES)
        assert process.stdin
        self._requests = process.stdin
        self._listeners = [
            threading.Thread(target=_listen, args=(stream, take), daemon=True)
            for stream, take in ((process.stdout, self._answers.put), (process.stderr, self._words.append))
        ]
        for listener in self._listeners:
            listener.start()

    def load(self, patience: float) -> None:
        """Load the weights, if they are not there yet. Raises EngineError as `ask` does."""
        if not self._is_loaded:
            self.ask(self._request, patience)
            self._is_loaded = True

    def ask(self, request: Mapping[str, Any], patience: float) -> dict[str, Any]:
        """The child's answer. Raises EngineError if it refuses, dies, or takes longer than `patience` seconds."""
        with contextlib.suppress(OSError):  # it has gone: its end is told below
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()
        try:
            line = self._answers.get(timeout=patience)
        except queue.Empty:
            raise EngineError(f"measuring {self._name} took longer than {patience:,.0f} s") from None
        if not line:
            raise self._death()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise EngineError(answer["error"], Hint.from_data(answer["hint"]), answer["log_tail"])
        return answer

    def seconds(self) -> float:
        """Processor time that the child has taken; 0 once it is dead."""
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return sum(times[:4])  # its own, and that of the children it has waited for

    def close(self) -> None:
        """Kill the child and wait for its end. Safe twice."""
        self._process.kill()
        self._process.wait()
        for listener in self._listeners:
            listener.join()
        with contextlib.suppress(OSError):  # a request that was never read
            self._requests.close()

    def _death(self) -> EngineError:
        code = self._process.wait()
        for listener in self._listeners:
            listener.join()
        tail = [line.decode("utf-8", "replace").strip() for line in self._words if line.strip()]
        if code == -9:  # SIGKILL, which Windows does not have
            message = f"measuring {self._name} was killed, most likely because memory ran out"
            return EngineError(message, "close other programs and try again", tail)
        end = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return EngineError(
            f"measuring {self._name} {end}", Hint("check the file: {verify}", verify=Command("verify", ("FILE",))), tail
        )


def _listen(stream: IO[bytes] | None, take: Callable[[bytes], None]) -> None:
    """Hand over line after line; b"" at the end."""
    assert stream
    with stream:
        for line in stream:
            take(line)
    take(b"")
