"""`SpeedProcess`: the parent's side of `bench_child.py`: one line of JSON asked, one answered."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

from ..errors import EngineError
from ..hints import Command, Hint
from ..native import child
from ..native.backends import BUILT_IN


class SpeedProcess:
    """A child with a model of these settings. It starts at once and loads in `load`. `close()` ends it.

    Raises EngineError where no child can be started.
    """

    def __init__(self, path: Path, variant: str, *, repack: bool, gpu_layers: int, gpus: Sequence[str] = ()) -> None:
        if not child.can_start():
            raise EngineError("speeds cannot be measured inside a frozen app", "use the seallm command")
        self._name = f"{path.name} on {variant}{'' if repack else ', not repacked,'}"
        self._request = {"path": str(path), "repack": repack, "gpu_layers": gpu_layers, "gpus": list(gpus)}
        self._is_loaded = False
        forced = {} if variant == BUILT_IN else {"SEALLM_CPU_VARIANT": variant}
        process = self._process = subprocess.Popen(
            child.command(f"{__package__}.bench_child"), env=child.environment(**forced),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._words: deque[bytes] = deque(maxlen=child.TAIL_LINES)
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
        child.raise_refusal(answer)
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
        stderr = b"".join(self._words).decode("utf-8", "replace")
        hint = Hint("check the file: {verify}", verify=Command("verify", ("FILE",)))
        return child.death(f"measuring {self._name}", code, stderr, hint)


def _listen(stream: IO[bytes] | None, take: Callable[[bytes], None]) -> None:
    """Hand over line after line; b"" at the end."""
    assert stream
    with stream:
        for line in stream:
            take(line)
    take(b"")
