"""Decode speed beside other work, by the spin count of OpenMP's threads before they sleep.

    python benchmarks/busy.py [MODEL] [--spins 300000 5000 1000 200] [--replies 1 2] [--busy 0] [--rounds 3]

300000 is libgomp's own default; seallm-edge sets less unless GOMP_SPINCOUNT is set (native/symbols.py). `--replies` N
decodes N replies at once, each in a process of its own; `--busy` N runs N endless loops beside them. Prints tokens per
second of one reply: medians of interleaved rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from itertools import product

PROMPT = "Write a very long story about a fisherman and the sea. Do not stop early."


def main() -> None:
    """Print a line for each situation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="smollm2-135m-instruct")
    parser.add_argument("--spins", type=int, nargs="+", default=[300_000, 5_000, 1_000, 200])
    parser.add_argument("--replies", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--busy", type=int, nargs="+", default=[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=48)
    arguments = parser.parse_args()
    for n_replies, n_busy in product(arguments.replies, arguments.busy):
        loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n_busy)]
        try:
            speeds: dict[int, list[float]] = {spins: [] for spins in arguments.spins}
            for _ in range(arguments.rounds):
                for spins, taken in speeds.items():
                    taken += tokens_per_second(arguments.model, spins, arguments.tokens, n_replies)
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()
        figures = ", ".join(f"{spins}: {statistics.median(taken):.1f}" for spins, taken in speeds.items())
        print(f"{n_replies} replies at once, {n_busy} endless loops; tokens/s by spins: {figures}", flush=True)


def tokens_per_second(model: str, spins: int, n_tokens: int, n_replies: int) -> list[float]:
    """Decode speeds of concurrent replies, in processes with this spin count."""
    command = [sys.executable, "-c", "from seallm_edge.cli import main; main()", "run", model, PROMPT, "--json"]
    command += ["--max-tokens", str(n_tokens), "--context", "1024", "--threads", str(os.cpu_count())]
    environment = {**os.environ, "GOMP_SPINCOUNT": str(spins)}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    running = [subprocess.Popen([*command, "--seed", str(seed)], env=environment, **pipes) for seed in range(n_replies)]
    return [float(json.loads(process.communicate()[0])["tokens_per_second"]) for process in running]


if __name__ == "__main__":
    main()
