"""Seconds from the start of a program to the first token, with the model's file in the file cache and without.

    python benchmarks/loading.py MODEL.gguf [MODEL.gguf ...] --llama-bench [NAME=]PATH [--rounds 5]
    python benchmarks/loading.py MODEL.gguf --phases

Ours is `seallm run MODEL Hi --max-tokens 1`, the whole process. Other programs are llama-bench with a prompt of 8
tokens and one decoded, once and without warm-up, the whole process. All in turns; medians, with the lowest and highest,
and the best way of each program relative to ours. Cold: the file's pages are dropped from the cache before (Linux).

`--phases` prints the seconds of ours by phase, once, in this process.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from peer_programs import NO_WARMUP, Way, found_ways
from transfer import spread

from seallm_edge.machine import this_machine

OURS = "ours"
# Installed modules are compiled; those of a checkout would be at each start where Python may not write.
AS_INSTALLED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
Seconds = dict[str, dict[str, list[float]]]  # cold or warm → contestant → seconds of each round


def main() -> None:
    """Print a table a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--llama-bench", nargs="+", action="extend", default=[], metavar="[NAME=]PATH")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--phases", action="store_true")
    arguments = parser.parse_args()
    if arguments.phases:
        print_phases(arguments.models[0])
        return
    ways = found_ways(arguments.llama_bench, [])
    for model in arguments.models:
        print_table(model, measured(model, ways, arguments.rounds), ways)


def measured(model: Path, ways: list[Way], rounds: int) -> Seconds:
    """Seconds of all contestants, in turns."""
    starters: dict[str, Callable[[], None]] = {OURS: lambda: run_ours(model)}
    starters |= {way.name: lambda way=way: run_peer(way, model) for way in ways}
    seconds: Seconds = {"cold": {name: [] for name in starters}, "warm": {name: [] for name in starters}}
    run_ours(model)
    for _ in range(rounds):
        for name, start in starters.items():
            drop_from_cache(model)
            seconds["cold"][name].append(timed(start))
            seconds["warm"][name].append(timed(start))
    return seconds


def print_phases(model: Path) -> None:
    """Print the seconds of each phase, from the first import of the library to the end."""
    at = time.perf_counter()

    def done(phase: str) -> None:
        nonlocal at
        print(f"{phase:32} {time.perf_counter() - at:.2f}")
        at = time.perf_counter()

    from seallm_edge import SeaLLM
    from seallm_edge.engine.llama import LlamaEngine
    from seallm_edge.gguf_file import read_header
    from seallm_edge.loading import load_engine, resolve
    from seallm_edge.native.backends import load_backends
    from seallm_edge.plan import LoadOptions

    done("imports")
    read_header(model)
    done("header, which `resolve` reads too")
    load_backends()
    done("backends")
    target = resolve(model)
    done("resolve")
    engine: LlamaEngine = load_engine(target, LoadOptions())
    done("weights and context")
    with SeaLLM.from_engine(engine) as llm:
        next(llm.stream("Hi", max_tokens=1), None)
        done("first token")
    done("close")


def run_ours(model: Path) -> None:
    """Answer with one token. Exits with the command's words if it fails."""
    command = [Path(sys.executable).with_name("seallm"), "run", str(model), "Hi", "--max-tokens", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=AS_INSTALLED)
    if done.returncode:
        sys.exit(done.stderr)


def run_peer(way: Way, model: Path) -> None:
    """Prefill 8 tokens and decode one."""
    no_warmup = next((words for option, words in NO_WARMUP.items() if option in way.bench.help), ())
    way.bench.output(model, [*no_warmup, "-r", "1", "-p", "8", "-n", "1"], this_machine().threads)


def drop_from_cache(model: Path) -> None:
    """Drop the file's pages from the file cache."""
    with model.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(start: Callable[[], None]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    start()
    return time.perf_counter() - started


def print_table(model: Path, seconds: Seconds, ways: list[Way]) -> None:
    """Print medians, and the peers' best relative to ours: above 1, ours is quicker."""
    print(f"\n{model.name}, {model.stat().st_size / 1e9:.2f} GB; seconds to the first token")
    for state, by_name in seconds.items():
        print(state)
        for name, values in by_name.items():
            print(f"  {name:28} {spread(values, '.2f')}")
        for program in dict.fromkeys(way.program for way in ways):
            best = min(statistics.median(by_name[way.name]) for way in ways if way.program == program)
            print(f"  {program} ÷ ours: {best / statistics.median(by_name[OURS]):.2f}", flush=True)


if __name__ == "__main__":
    main()
