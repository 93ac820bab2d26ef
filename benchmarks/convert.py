"""Conversion time, memory and disk, compared with llama.cpp's own tools.

    python benchmarks/convert.py CHECKPOINT [--types Q8_0 Q4_K_M] [--rounds 3] [--verify none]
        [--llama-cpp FOLDER --torch-python PYTHON] [--plain-wheel FOLDER]

CHECKPOINT is a Hugging Face folder. seallm-edge converts it to the type in one pass, with one worker and with two.
llama.cpp runs its `convert_hf_to_gguf.py` (FOLDER is its source, PYTHON one with torch, transformers and gguf) to
BF16, then its quantizer on that file; without those two, seallm-edge makes the BF16 file and only the quantizer is
timed. The quantizer is the installed build's, with our search for block scales; with --plain-wheel FOLDER, an unpacked
published wheel of llama-cpp-python, it is that one's.
The runs are interleaved, each in a process of its own. Prints medians of wall time, peak resident memory with mapped
pages, and peak disk use beside the output.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from seallm_edge.catalogue.recipes import recipe_named

OURS = """
import sys
from pathlib import Path
from seallm_edge.convert.run import Options, run
from seallm_edge.convert.tasks import checkpoint_task, named_recipe
source, out, name, threads, verify = sys.argv[1:]
task = checkpoint_task(source, [named_recipe(name)], out)
_, spent = run(task, Options(int(threads), True, True, verify))
in_all = spent.seconds * int(threads)
print((spent.computing + spent.writing) / in_all, spent.reading / in_all)
"""
QUANTIZER = """
import sys
from pathlib import Path
from seallm_edge.native.quantizer import requantize_file
requantize_file(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
"""


@dataclass(frozen=True)
class Taken:
    """Cost of a process: seconds, peak resident bytes, peak disk bytes in its folder, and its output."""

    seconds: float
    resident: int
    disk: int
    printed: str


def main() -> None:
    """Print a table a type."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--types", nargs="+", default=["Q8_0", "Q4_K_M"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--verify", default="none")
    parser.add_argument("--cold", action="store_true", help="drop the checkpoint from the page cache before our turns")
    parser.add_argument("--llama-cpp", type=Path)
    parser.add_argument("--torch-python", type=Path)
    parser.add_argument("--plain-wheel", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.checkpoint.parent) as scratch:
        for name in arguments.types:
            compare(arguments, name, Path(scratch))


def compare(arguments: argparse.Namespace, name: str, scratch: Path) -> None:
    """Run all interleaved, then print medians."""
    taken: dict[str, list[Taken]] = defaultdict(list)
    for _ in range(arguments.rounds):
        for workers in (2, 1):
            if arguments.cold:
                forget(arguments.checkpoint)
            command = [str(arguments.checkpoint), str(scratch / "ours.gguf"), name, str(workers), arguments.verify]
            taken[f"ours, {workers} workers"].append(measured([sys.executable, "-c", OURS, *command], scratch))
            (scratch / "ours.gguf").unlink()
        if arguments.torch_python:
            script = arguments.llama_cpp / "convert_hf_to_gguf.py"
            options = ["--outtype", "bf16", "--outfile", str(scratch / "bf16.gguf")]
            command = [str(arguments.torch_python), str(script), str(arguments.checkpoint), *options]
            taken["convert_hf_to_gguf.py"].append(measured(command, scratch))
        elif not (scratch / "bf16.gguf").exists():
            command = [str(arguments.checkpoint), str(scratch / "bf16.gguf"), "BF16", "2", "none"]
            measured([sys.executable, "-c", OURS, *command], scratch)
        command = [str(scratch / "bf16.gguf"), str(scratch / "theirs.gguf"), str(recipe_named(name).file_type), "2"]
        plain = {"PYTHONPATH": str(arguments.plain_wheel)} if arguments.plain_wheel else {}
        taken["llama_model_quantize"].append(measured([sys.executable, "-c", QUANTIZER, *command], scratch, plain))
        (scratch / "theirs.gguf").unlink()
    show(name, taken)


def show(name: str, taken: dict[str, list[Taken]]) -> None:
    """A line for each process, then the ratios."""
    print(f"{name}")
    medians = {what: statistics.median(t.seconds for t in turns) for what, turns in taken.items()}
    for what, turns in taken.items():
        resident, disk = max(t.resident for t in turns), max(t.disk for t in turns)
        print(f"  {what}: {medians[what]:.1f} s, {resident >> 20} MiB resident, {disk / 1e9:.2f} GB of disk", end="")
        print(workers_time(turns) if what.startswith("ours") else "")
    theirs = [what for what in taken if not what.startswith("ours")]
    ratios = [
        sum(taken[what][turn].seconds for what in theirs) / ours.seconds
        for turn, ours in enumerate(taken["ours, 2 workers"])
    ]
    speedups = [
        one.seconds / two.seconds for one, two in zip(taken["ours, 1 workers"], taken["ours, 2 workers"], strict=True)
    ]
    print(f"  {' + '.join(theirs)} ÷ ours: {statistics.median(ratios):.2f}; one worker ÷ two: ", end="")
    print(f"{statistics.median(speedups):.2f}", flush=True)


def workers_time(turns: list[Taken]) -> str:
    """Shares of the workers' time in computing, writing and waiting for bytes, the worst run's."""
    busy, reading = zip(*(map(float, turn.printed.split()) for turn in turns), strict=True)
    return f", workers busy {min(busy):.1%}, reading {max(reading):.1%}"


def measured(command: list[str], scratch: Path, environment: Mapping[str, str] | None = None) -> Taken:
    """Cost of a command, measured from outside."""
    before = used(scratch)
    started = time.perf_counter()
    variables = {**os.environ, **(environment or {})}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=variables)
    most_resident, most_disk, done = 0, 0, threading.Event()

    def watch() -> None:
        nonlocal most_resident, most_disk
        watched = psutil.Process(process.pid)
        while not done.wait(0.05):
            try:
                most_resident = max(most_resident, watched.memory_info().rss)
            except psutil.NoSuchProcess:
                return
            most_disk = max(most_disk, used(scratch) - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    printed, _ = process.communicate()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{command[:2]} failed")
    return Taken(seconds, most_resident, most_disk, printed.strip())


def used(folder: Path) -> int:
    """Disk bytes of a folder's files."""
    return sum(path.stat().st_blocks * 512 for path in folder.iterdir() if path.exists())


def forget(checkpoint: Path) -> None:
    """Drop the checkpoint's pages from the page cache (Linux)."""
    for path in checkpoint.glob("*.safetensors"):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


if __name__ == "__main__":
    main()
