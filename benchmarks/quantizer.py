"""Quantizer throughput on one thread, in weights per second; against another build, the ratio and equality of bytes.

    python benchmarks/quantizer.py [--types Q4_K Q6_K ...] [--against PYTHON] [--importance] [--rounds 9]

    type     row of   Mweights/s   against   ratio  bytes
    Q4_K       1536         43.4      14.8    2.94  same

Weights are gaussian, rounded to BF16, in rows of the 1.5B model's lengths. PYTHON is the interpreter of a venv with
numpy and another build of llama-cpp-python. Each build runs in a process of its own, interleaved; a round gives a
ratio, and the medians count. Time is CPU time of the thread, so that other work disturbs less. The quantized bytes of
both builds are compared on nine kinds of weights, with and without importance.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

ROOT = Path(__file__).resolve().parent.parent
ROWS = (1536, 8960)  # hidden and FFN size of SeaLLMs-v3-1.5B
TYPES = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "Q4_0", "IQ4_XS", "IQ4_NL"]
MIN_SECONDS = 0.02  # of one round


def main() -> None:
    """Print a line for each type and row length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--types", nargs="+", default=TYPES)
    parser.add_argument("--against", metavar="PYTHON", help="the interpreter of a venv with another build")
    parser.add_argument("--importance", action="store_true", help="quantize as with an importance matrix")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--weights", type=float, default=1e6, help="compared for each type, each way (default: 1e6)")
    arguments = parser.parse_args()
    pythons = [sys.executable] + ([arguments.against] if arguments.against else [])
    builds = [Build(python) for python in pythons]
    print(
        f"{'type':8} {'row of':>6} {'Mweights/s':>12}"
        + (f" {'against':>9} {'ratio':>7}  bytes" if arguments.against else "")
    )
    try:
        for name in arguments.types:
            for n_per_row in ROWS:
                if builds[0].ask("fits", name, n_per_row):
                    print(line(builds, name, n_per_row, arguments), flush=True)
    finally:
        for build in builds:
            build.close()


def line(builds: list[Build], name: str, n_per_row: int, arguments: argparse.Namespace) -> str:
    """One line of the table, from interleaved runs of the builds."""
    speeds: list[list[float]] = [[] for _ in builds]
    for _ in range(arguments.rounds):
        for build, taken in zip(builds, speeds, strict=True):
            taken.append(build.ask("speed", name, n_per_row, arguments.importance))
    text = f"{name:8} {n_per_row:6} {statistics.median(speeds[0]) / 1e6:12.1f}"
    if len(builds) == 1:
        return text
    ratio = statistics.median(ours / other for ours, other in zip(*speeds, strict=True))
    ours, other = (build.ask("digests", name, n_per_row, int(arguments.weights)) for build in builds)
    differing = [kind for kind, digest in ours.items() if other[kind] != digest]
    same = "DIFFERENT: " + ", ".join(differing) if differing else "same"
    return f"{text} {statistics.median(speeds[1]) / 1e6:9.1f} {ratio:7.2f}  {same}"


class Build:
    """Build of llama.cpp in a process of its own, which answers requests, one line of JSON each."""

    def __init__(self, python: str) -> None:
        self._python = python
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        command = [python, "-P", "-c", f"import runpy; runpy.run_path({__file__!r})['answer']()"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, question: str, *values: Any) -> Any:
        """Result of the function of that name in `answer`."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([question, *values]) + "\n")
        process.stdin.flush()
        reply = process.stdout.readline()
        if not reply:
            raise SystemExit(f"{self._python} could not answer; see above")
        return json.loads(reply)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def answer() -> None:
    """Child process: read requests from stdin and print results until it is closed."""
    for request in sys.stdin:
        question, *values = json.loads(request)
        functions: dict[str, Callable[..., Any]] = {"fits": fits, "speed": speed, "digests": digests}
        print(json.dumps(functions[question](*values)), flush=True)


def fits(name: str, n_per_row: int) -> bool:
    """Whether rows of this length can be stored as this type."""
    from seallm_edge.gguf_file.types import TENSOR_TYPES

    return TENSOR_TYPES[name].divides(n_per_row)


def speed(name: str, n_per_row: int, has_importance: bool) -> float:
    """Weights quantized per second."""

    rows = KINDS["gaussian BF16"](98304 // n_per_row * n_per_row)
    n_weights, started = 0, time.thread_time()
    while (seconds := time.thread_time() - started) < MIN_SECONDS:
        quantized(rows, name, n_per_row, has_importance)
        n_weights += rows.size
    return n_weights / seconds


def digests(name: str, n_per_row: int, n_weights: int) -> dict[str, str]:
    """The sha256 of each kind of weights, stored as this type, with and without importance."""
    found = {}
    for kind, weights in KINDS.items():
        rows = weights(max(n_weights // n_per_row, 1) * n_per_row)
        for has_importance in (False, True):
            what = f"{kind}, {'with' if has_importance else 'without'} importance"
            found[what] = hashlib.sha256(quantized(rows, name, n_per_row, has_importance)).hexdigest()
    return found


def quantized(rows: Floats, name: str, n_per_row: int, has_importance: bool) -> memoryview:
    """Quantized blocks of `rows`; a type that needs importance always has it."""
    import numpy as np

    from seallm_edge.gguf_file.types import TENSOR_TYPES
    from seallm_edge.native.quantizer import needs_importance, quantize

    kind, importance = TENSOR_TYPES[name], None
    if has_importance or needs_importance(kind):
        importance = (np.random.default_rng(2).standard_normal(n_per_row) ** 4).astype(np.float32)
    target = np.zeros(rows.size // n_per_row * kind.row_bytes(n_per_row), np.uint8)
    quantize(rows, kind, n_per_row, target, importance)
    return target.data


def random(draw: str, *arguments: Any, times: float = 1.0) -> Callable[[int], Floats]:
    """Random generator of weights with a fixed seed, the same in every process."""

    def drawn(n_weights: int) -> Floats:
        import numpy as np

        generator = np.random.default_rng(3)
        weights: Floats = (getattr(generator, draw)(*arguments, size=n_weights) * times).astype(np.float32)
        return weights

    return drawn


def bf16(weights: Floats) -> Floats:
    """Weights truncated to BF16 and widened again."""
    import numpy as np

    cut: Floats = (weights.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)
    return cut


KINDS: dict[str, Callable[[int], Floats]] = {
    "gaussian": random("normal", 0, 0.02),
    "gaussian BF16": lambda n_weights: bf16(random("normal", 0, 0.02)(n_weights)),
    "heavy tails": random("standard_t", 2, times=0.01),
    "negative": random("uniform", -2, -1),
    "tiny": random("normal", 0, 1, times=1e-20),
    "denormal": random("normal", 0, 1, times=1e-41),
    "few values": random("integers", -2, 3),
    "almost constant": random("normal", -1, 1e-6),
    "zero": random("normal", 0, 1, times=0.0),
}

if __name__ == "__main__":
    main()
