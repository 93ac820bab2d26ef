"""Decode speed while other programs want the same cores, by how long OpenMP's threads spin before they sleep.

    python benchmarks/busy.py [MODEL] [--spins 300000 20000 5000 1000 0] [--busy 0 2] [--rounds 5] [--tokens 48]

300000 is libgomp's own default; seallm-edge sets less unless GOMP_SPINCOUNT is there (native/symbols.py). Each figure
is the median of `--rounds` runs in turns, each a process of its own; `--busy` N runs N endless loops beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

PROMPT = "Write a very long story about a fisherman and the sea. Do not stop early."


def main() -> None:
    """Print a line for each number of busy programs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="smollm2-135m-instruct")
    parser.add_argument("--spins", type=int, nargs="+", default=[300_000, 20_000, 5_000, 1_000, 0])
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=48)
    arguments = parser.parse_args()
    for n_busy in arguments.busy:
        loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n_busy)]
        try:
            speeds = {spins: [] for spins in arguments.spins}
            for _ in range(arguments.rounds):
                for spins, taken in speeds.items():
                    taken.append(tokens_per_second(arguments.model, spins, arguments.tokens))
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()
        figures = ", ".join(f"{spins}: {statistics.median(taken):.1f}" for spins, taken in speeds.items())
        print(f"{n_busy} busy programs; tokens/s by spins: {figures}", flush=True)


def tokens_per_second(model: str, spins: int, n_tokens: int) -> float:
    """Speed of one reply in a process that spins so long."""
    command = [sys.executable, "-c", "from seallm_edge.cli import main; main()", "run", model, PROMPT, "--json"]
    options = ["--seed", "1", "--max-tokens", str(n_tokens), "--context", "1024", "--threads", str(os.cpu_count())]
    environment = {**os.environ, "GOMP_SPINCOUNT": str(spins)}
    result = subprocess.run(
        command + options, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return float(json.loads(result.stdout)["tokens_per_second"])


if __name__ == "__main__":
    main()
