"""Little memory: commands in a cgroup that has no more than so much, without swap, beside the same without a limit.

    python benchmarks/little_memory.py LIMIT -- COMMAND...
    python benchmarks/little_memory.py 512M -- seallm run smollm2-135m-instruct "Tell me about rice." --max-tokens 64
    python benchmarks/little_memory.py 600M --rounds 1 -- seallm convert CHECKPOINT --type Q4_K_M --out OUT --force

The two take turns, and files are out of memory before each, so that their pages count to the group. Prints the seconds
of each, their ratio, and the most memory that was resident in the group. Needs root, for the group.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from transfer import spread

CGROUPS = Path("/sys/fs/cgroup")
UNITS = {"K": 1 << 10, "M": 1_000_000, "G": 1_000_000_000}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("limit", help="bytes, such as 512M or 1.5G")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    limit = round(float(arguments.limit[:-1]) * UNITS[arguments.limit[-1]])
    command = [shutil.which(arguments.command[0]) or arguments.command[0], *arguments.command[1:]]
    limited, free = [], []
    for _ in range(arguments.rounds):
        free.append(seconds(command, None))
        with group(limit) as folder:
            limited.append(seconds(command, folder))
            most = peak(folder)
    ratio = statistics.median(limited) / statistics.median(free)
    print(f"within {arguments.limit}: {spread(limited, '.1f')} s; without a limit: {spread(free, '.1f')} s")
    print(f"{ratio:.2f} times as long")
    print(f"most memory of the group, the file's pages included: {most / 1e6:.0f} MB")


@contextlib.contextmanager
def group(limit: int) -> Iterator[Path]:
    """Cgroup with so many bytes of memory and no swap, of the first or the second version."""
    is_second = (CGROUPS / "cgroup.controllers").exists()
    folder = CGROUPS / ("" if is_second else "memory") / "seallm-little-memory"
    folder.mkdir()
    try:
        if is_second:
            (folder / "memory.max").write_text(str(limit))
            (folder / "memory.swap.max").write_text("0")
        else:
            (folder / "memory.limit_in_bytes").write_text(str(limit))
            with contextlib.suppress(OSError):  # where swap is not counted; there is none then, or it is told below
                (folder / "memory.memsw.limit_in_bytes").write_text(str(limit))
        yield folder
    finally:
        folder.rmdir()


def peak(folder: Path) -> int:
    """Most bytes that a group had."""
    names = ("memory.peak", "memory.max_usage_in_bytes")
    return next(int((folder / name).read_text()) for name in names if (folder / name).exists())


def seconds(command: list[str], folder: Path | None) -> float:
    """Seconds of a command, inside a cgroup or not. Exits with its words if it fails."""

    def enter() -> None:
        if folder:
            (folder / "cgroup.procs").write_text(str(os.getpid()))

    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=enter)
    if done.returncode:
        sys.exit(f"exit code {done.returncode}: {done.stderr[-600:]}")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
