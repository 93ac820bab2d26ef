"""Conversion time and memory, next to llama.cpp's own quantizer.

    python benchmarks/convert.py CHECKPOINT [--types Q8_0 Q4_K_M] [--rounds 3] [--threads 2]

CHECKPOINT is a Hugging Face folder. Ours reads it and writes the type in one pass; `llama_model_quantize` needs a
BF16 GGUF first, which is made once and not counted, so the comparison favours the peer. The two take turns, each in
a process of its own; medians, and the largest anonymous memory seen (Linux). Needs the checkpoint's size in disk,
and the output's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seallm_edge.convert import convert
from seallm_edge.native.quantizer import requantize_file
from seallm_edge.recipes import recipe_named


def main() -> None:
    """Print a line a type."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--types", nargs="+", default=["Q8_0", "Q4_K_M"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.checkpoint.parent) as scratch:
        intermediate, out = Path(scratch) / "bf16.gguf", Path(scratch) / "out.gguf"
        convert(arguments.checkpoint, intermediate, "BF16")
        for name in arguments.types:
            compare(arguments, name, intermediate, out)


def compare(arguments: argparse.Namespace, name: str, intermediate: Path, out: Path) -> None:
    """Take turns, then print medians."""
    threads, file_type = arguments.threads, recipe_named(name).file_type
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    memory = 0
    for _ in range(arguments.rounds):
        taken, most = in_child(convert, arguments.checkpoint, out, name, threads, True)
        seconds["ours"].append(taken)
        memory = max(memory, most)
        seconds["peer"].append(in_child(requantize_file, intermediate, out, file_type, threads)[0])
    ours, peer = (statistics.median(taken) for taken in seconds.values())
    ratio = statistics.median(a / b for a, b in zip(*seconds.values(), strict=True))
    print(
        f"{name}, {threads} threads: ours {ours:.1f} s, {memory >> 20} MiB of its own memory; "
        f"llama_model_quantize {peer:.1f} s from an existing BF16 file; ours / peer {ratio:.2f}",
        flush=True,
    )


def in_child(work: Callable[..., Any], *arguments: Any) -> tuple[float, int]:
    """(seconds, largest anonymous memory in bytes) of `work` in a fresh process."""
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    child = context.Process(target=measured, args=(results, work, *arguments))
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit(f"{work.__name__} failed")
    seconds, memory = results.get()
    return seconds, memory


def measured(results: Any, work: Callable[..., Any], *arguments: Any) -> None:
    """Do `work`, watched by a thread that reads this process's anonymous memory."""
    most, done = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.05):
            most = max(most, anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    work(*arguments)
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    results.put((seconds, most))


def anonymous_bytes() -> int:
    """This process's anonymous memory now; 0 where /proc does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon")), 0)


if __name__ == "__main__":
    main()
