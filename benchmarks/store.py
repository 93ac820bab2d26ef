"""Seconds of `seallm list`, `path` and `default` with many models in the store, against starting Python alone.

$ python benchmarks/store.py [--models 50] [--runs 15]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from seallm_edge.store import add

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.gguf_files import write_gguf_file

SEALLM = ("-c", "from seallm_edge.cli import main; main()")
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "seallm --version": [*SEALLM, "--version"],
    "seallm list": [*SEALLM, "list"],
    "seallm list --json": [*SEALLM, "list", "--json"],
    "seallm path model-7": [*SEALLM, "path", "model-7"],
    "seallm default": [*SEALLM, "default"],
}


def main() -> None:
    """Fill a store in a temporary home, then time each command in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["SEALLM_HOME"] = home
        fill(Path(home), options.models)
        seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for _ in range(options.runs):
            for name, arguments in COMMANDS.items():
                seconds[name].append(timed(arguments))
    print(f"{options.models} models, {options.runs} runs in turns: median, smallest to largest, in seconds")
    for name, found in seconds.items():
        print(f"{name:<20} {statistics.median(found):.2f}  {min(found):.2f} to {max(found):.2f}")


def fill(home: Path, n_models: int) -> None:
    """Add models of different contents."""
    for number in range(n_models):
        file = home / "models" / ".incoming" / f"model-{number}.gguf"
        write_gguf_file(file, change={"general.name": ("string", f"Model {number}")})
        digits = hashlib.sha256(file.read_bytes()).hexdigest()
        add([file], origin=f"hf:a/model-{number}@{'c' * 40}", sha256s={file.name: digits})


def timed(arguments: list[str]) -> float:
    """Wall time of Python with these arguments."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
