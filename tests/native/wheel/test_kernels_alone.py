"""The kernels without ggml, under sanitizers: they read and write no byte that is not theirs, no step is undefined."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seallm_edge.native.backends import KERNEL_TYPES
from seallm_edge.native.wheel import build
from tests.support.quantized import adversarial, quantized, rounded

KERNELS = build.PROJECT_INCLUDE.with_name("kernels")
MAIN = Path(__file__).with_name("kernels_main.c")
ORDER = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS")  # as in kernels_main.c
N, N_OUT = 512, 64
SETS = {  # of instructions: the compiler's flags, and what /proc/cpuinfo must name
    "sse41": ("-msse4.1", ()),
    "avx2": ("-mavx2 -mfma -mf16c", ("avx2", "fma", "f16c")),
    "avxvnni": ("-mavx2 -mfma -mf16c -mavxvnni", ("avx_vnni",)),
    "avx512": ("-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx2 -mfma -mf16c", ("avx512_vnni",)),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"), reason="kernels are for x86-64"
    ),
]


def compiled(folder: Path, compiler: str, flags: str) -> Path:
    program = folder / "kernels"
    command = [compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", *flags.split()]
    done = subprocess.run(
        [*command, "-I", str(KERNELS), str(MAIN), "-o", str(program)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return program


def products(command: list[str], kind: str, packed: bytes, rows: np.ndarray) -> np.ndarray:
    head = np.array([ORDER.index(kind), N_OUT, N // 32, len(rows)], np.int32)
    done = subprocess.run(
        command, input=head.tobytes() + packed + rows.tobytes(), capture_output=True, check=False,
        env={**os.environ, "UBSAN_OPTIONS": "halt_on_error=1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr.decode()[-2000:]) == (0, "")
    return np.frombuffer(done.stdout, np.float32).reshape(len(rows), N_OUT)


def check(command: list[str]) -> None:
    for kind in ORDER:
        for packed, numbers in (quantized(kind, N_OUT, N), adversarial(kind, N_OUT, N)):
            for count in (1, 2, 3, 6, 11):
                rows = np.random.default_rng(count).normal(0, 3, (count, N)).astype(np.float32)
                rows[-1, :40] = 0
                seen = rounded(rows, kind)
                found = products(command, kind, packed, rows)
                error = np.abs(found - seen @ numbers.T)
                assert (error <= 3e-6 * (np.abs(seen) @ np.abs(numbers).T) + 1e-37).all(), f"{kind}, {count} columns"


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
@pytest.mark.parametrize("name", ["sse41", "avx512"])
def test_nothing_else_is_touched(name: str, tmp_path: Path) -> None:
    flags, needed = SETS[name]
    if not set(needed) <= set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split()):
        pytest.skip("this processor lacks the instructions")
    program = compiled(tmp_path, "gcc", f"-O1 -fsanitize=address,undefined -fno-sanitize-recover {flags}")
    check([str(program)])


@pytest.mark.skipif(not shutil.which("gcc") or not shutil.which("qemu-x86_64"), reason="no gcc, or no qemu-user")
def test_a_processor_without_avx_multiplies_right(tmp_path: Path) -> None:
    """Static, so that it needs no library that the emulated processor would have to run."""
    program = compiled(tmp_path, "gcc", f"-O2 -static {SETS['sse41'][0]}")
    check(["qemu-x86_64", "-cpu", "Nehalem", str(program)])


@pytest.mark.skipif(not shutil.which("clang"), reason="no clang")
@pytest.mark.parametrize("name", list(SETS))
def test_clang_takes_them(name: str, tmp_path: Path) -> None:
    flags, needed = SETS[name]
    program = compiled(tmp_path, "clang", f"-O1 -Wno-pass-failed {flags}")
    if set(needed) <= set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split()):
        check([str(program)])


def test_the_list_of_types_is_whole() -> None:
    assert set(ORDER) == KERNEL_TYPES
