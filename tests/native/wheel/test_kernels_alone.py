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
MULTIPLY, ATTEND = (Path(__file__).with_name(name) for name in ("kernels_main.c", "attention_main.c"))
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


def compiled(folder: Path, compiler: str, flags: str, main: Path = MULTIPLY) -> Path:
    program = folder / main.stem
    command = [compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", *flags.split()]
    command += ["-I", str(KERNELS), str(main), "-o", str(program), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


def computed(command: list[str], *parts: np.ndarray | bytes) -> np.ndarray:
    """Floats that a program makes of these bytes."""
    done = subprocess.run(
        command, input=b"".join(part if isinstance(part, bytes) else part.tobytes() for part in parts),
        capture_output=True, check=False, env={**os.environ, "UBSAN_OPTIONS": "halt_on_error=1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr.decode()[-2000:]) == (0, "")
    return np.frombuffer(done.stdout, np.float32)


def products(command: list[str], kind: str, packed: bytes, rows: np.ndarray) -> np.ndarray:
    head = np.array([ORDER.index(kind), N_OUT, N // 32, len(rows)], np.int32)
    return computed(command, head, packed, rows).reshape(len(rows), N_OUT)


def check_products(command: list[str]) -> None:
    for kind in ORDER:
        for packed, numbers in (quantized(kind, N_OUT, N), adversarial(kind, N_OUT, N)):
            for count in (1, 2, 3, 6, 11):
                rows = np.random.default_rng(count).normal(0, 3, (count, N)).astype(np.float32)
                rows[-1, :40] = 0
                seen = rounded(rows, kind)
                found = products(command, kind, packed, rows)
                error = np.abs(found - seen @ numbers.T)
                assert (error <= 3e-6 * (np.abs(seen) @ np.abs(numbers).T) + 1e-37).all(), f"{kind}, {count} columns"


def check_attention(command: list[str]) -> None:
    """Tokens of two sequences, in cells anywhere; positions near 0, far from it, and such that two cells share one."""
    draw = np.random.default_rng(1)
    for head_dim, n_heads, n_kv in ((32, 1, 1), (64, 3, 300), (128, 6, 129), (256, 7, 515), (96, 64, 40)):
        for first, divisor in ((0, 1), (7000, 1), (0, 3)):
            order = draw.permutation(n_kv)
            positions = (first + order // divisor).astype(np.int32)
            sequences = order % 5 == 0
            last = sorted(draw.integers(0, n_kv, 5)) + [n_kv - 1]
            tokens = [(last[0] % 5 == 0, last[0])] + [(False, n) for n in last if n % 5] + [(True, n_kv - 1)]
            sees = np.array([(sequences == of) & (order <= n) for of, n in tokens])
            sees[:, np.argmin(order)] = True
            mask = np.where(sees, np.float16(0), np.float16(-np.inf))
            queries = draw.normal(0, 0.3, (len(tokens), n_heads, head_dim)).astype(np.float32)
            keys, values = (draw.normal(0, 1, (n_kv, head_dim)).astype(np.float16) for _ in range(2))
            found = computed(
                command, np.array([head_dim, n_heads, len(tokens), n_kv], np.int32), mask, positions, queries, keys,
                values,
            ).reshape(queries.shape)  # fmt: skip
            for seen, query, result in zip(sees, queries, found, strict=True):
                scores = query.astype(np.float64) @ keys[seen].T.astype(np.float64)
                weights = np.exp(scores - scores.max(-1, keepdims=True))
                right = weights / weights.sum(-1, keepdims=True) @ values[seen].astype(np.float64)
                assert np.abs(result - right).max() < 2e-5 * np.abs(right).max()


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
@pytest.mark.parametrize("name", ["sse41", "avx512"])
def test_nothing_else_is_touched(name: str, tmp_path: Path) -> None:
    flags, needed = SETS[name]
    if not set(needed) <= set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split()):
        pytest.skip("this processor lacks the instructions")
    flags = f"-O1 -fsanitize=address,undefined -fno-sanitize-recover {flags}"
    check_products([str(compiled(tmp_path, "gcc", flags))])
    check_attention([str(compiled(tmp_path, "gcc", flags, ATTEND))])


@pytest.mark.skipif(not shutil.which("gcc") or not shutil.which("qemu-x86_64"), reason="no gcc, or no qemu-user")
def test_a_processor_without_avx_computes_right(tmp_path: Path) -> None:
    """Static, so that it needs no library that the emulated processor would have to run."""
    flags, emulated = f"-O2 -static {SETS['sse41'][0]}", ["qemu-x86_64", "-cpu", "Nehalem"]
    check_products([*emulated, str(compiled(tmp_path, "gcc", flags))])
    check_attention([*emulated, str(compiled(tmp_path, "gcc", flags, ATTEND))])


@pytest.mark.skipif(not shutil.which("clang"), reason="no clang")
@pytest.mark.parametrize("name", list(SETS))
def test_clang_takes_them(name: str, tmp_path: Path) -> None:
    flags, needed = SETS[name]
    programs = [compiled(tmp_path, "clang", f"-O1 -Wno-pass-failed {flags}", main) for main in (MULTIPLY, ATTEND)]
    if set(needed) <= set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split()):
        check_products([str(programs[0])])
        check_attention([str(programs[1])])


@pytest.mark.skipif(not shutil.which("clang"), reason="no clang")
@pytest.mark.parametrize("name", list(SETS))
def test_clang_for_windows_takes_them(name: str, tmp_path: Path) -> None:
    """Compiled for MSVC's ABI, with declarations in place of Microsoft's headers."""
    (tmp_path / "string.h").write_text(
        "#include <stddef.h>\nvoid * memcpy(void *, const void *, size_t);\nvoid * memset(void *, int, size_t);\n"
    )
    (tmp_path / "math.h").write_text("#define INFINITY __builtin_inff()\nfloat expf(float);\n")
    (tmp_path / "all.c").write_text(
        '#include "kernels.h"\n#include <math.h>\n#include "attention.h"\n#include "places.h"\n'
    )
    command = ["clang", "--target=x86_64-pc-windows-msvc", "-std=gnu11", "-ffreestanding", "-O1", "-c", "-Werror"]
    command += ["-Wno-unused-function", "-Wno-pass-failed", *SETS[name][0].split(), "-I", str(tmp_path)]
    command += ["-I", str(KERNELS), str(tmp_path / "all.c"), "-o", str(tmp_path / "all.obj")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_list_of_types_is_whole() -> None:
    assert set(ORDER) == KERNEL_TYPES
