"""Limits of this machine for peers.py: int8 multiply-adds and bytes read a second, by limits.c, and a model's share."""

from __future__ import annotations

import atexit
import json
import os
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from workload import N_DECODED, Workload, decode_name, prompt_name

from seallm_edge.gguf_file import Header
from seallm_edge.gguf_file.dimensions import EMBEDDING, OUTPUT

# CPU variant → flags that allow the compiler the same instructions; other variants get those of this processor.
FLAGS = {
    "sse42": ["-msse4.2"],
    "sandybridge": ["-mavx"],
    "ivybridge": ["-mavx"],
    "haswell": ["-mavx2", "-mfma"],
    "alderlake": ["-mavx2", "-mfma", "-mavxvnni"],
    "skylakex": ["-march=skylake-avx512"],
}


@dataclass(frozen=True)
class Limits:
    """Highest rates a second on all threads: multiply-adds by `instructions`, and bytes read from memory in huge and
    small pages. 0 is unknown; `problem` says why.
    """

    instructions: str = ""
    multiply_adds: float = 0
    huge_pages: float = 0
    small_pages: float = 0
    problem: str = ""

    def in_words(self) -> str:
        """Limits as a line for people."""
        return self.problem or (
            f"{self.multiply_adds / 1e9:,.0f} G multiply-adds/s ({self.instructions}); reads of "
            f"{self.huge_pages / 1e9:.1f} GB/s in huge pages, {self.small_pages / 1e9:.1f} in small ones"
        )


def measured(variant: str, n_threads: int) -> Limits:
    """Limits now, within the instructions of a CPU variant."""
    program = _compiled(variant)
    if isinstance(program, str):
        return Limits(problem=f"not measured: {program}")
    done = subprocess.run([str(program), str(n_threads)], capture_output=True, text=True, check=False)
    if done.returncode:
        return Limits(problem=f"not measured: limits.c ended with exit code {done.returncode}")
    return Limits(**json.loads(done.stdout))


def best(a: Limits, b: Limits) -> Limits:
    """Higher rate of each kind."""
    names = ("multiply_adds", "huge_pages", "small_pages")
    return Limits(a.instructions, *(max(getattr(a, name), getattr(b, name)) for name in names), problem=a.problem)


def shares(work: Workload, speeds: dict[str, float], header: Header, kv_bytes: int, limit: Limits) -> dict[str, float]:
    """Shares of the limits, by name of the work: prompts of the multiply-adds, decodes of the bytes read.

    `kv_bytes` are those of one token in the KV cache. A prompt's attention is not counted.
    """
    if limit.problem:
        return {}
    sizes = {tensor.name: tensor for tensor in header.tensors if len(tensor.shape) > 1}
    products = sum(tensor.n_elements for name, tensor in sizes.items() if name not in (EMBEDDING, OUTPUT))
    weights = sum(tensor.n_bytes for name, tensor in sizes.items() if name != EMBEDDING or OUTPUT not in sizes)
    read = max(limit.huge_pages, limit.small_pages)
    found = {prompt_name(n): products / limit.multiply_adds for n in work.prompts}
    for depth in work.depths:
        found[decode_name(depth)] = (weights + kv_bytes * (depth + N_DECODED / 2)) / read
    return {name: share * speeds[name] for name, share in found.items() if name in speeds}


@cache
def _compiled(variant: str) -> Path | str:
    """Path of limits.c's program for a CPU variant, or the reason why there is none."""
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), "")
    if not compiler:
        return "no C compiler"
    folder = tempfile.TemporaryDirectory(prefix="limits-")
    atexit.register(folder.cleanup)
    program = Path(folder.name) / "limits"
    source = Path(__file__).with_name("limits.c")
    flags = ["-O3", *FLAGS.get(variant, ["-march=native"]), "-pthread"]
    try:
        done = subprocess.run(
            [*shlex.split(compiler), *flags, str(source), "-o", str(program)], capture_output=True, text=True
        )
    except OSError as error:
        return f"{compiler} does not start: {error.strerror}"
    return f"{compiler} {' '.join(flags)} refuses limits.c" if done.returncode else program
