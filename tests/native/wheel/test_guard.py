"""guard.h: a step whose GPU fails ends with a status, not with the process; with the ggml of the installed wheel."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seallm_edge.native import symbols

WHEEL = Path(__file__).parents[3] / "seallm_edge" / "native" / "wheel"
INCLUDE = symbols.library_folder().parent.parent / "include"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="written for the tools of Linux"),
    pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler"),
    pytest.mark.skipif(not (INCLUDE / "ggml.h").exists(), reason="this wheel has no headers of ggml"),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("guard") / "guard"
    library = symbols.library_folder()
    source = Path(__file__).with_name("guard_main.cpp")
    subprocess.run(
        ["c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{WHEEL}", f"-I{INCLUDE}", source, "-o", made,
         "-pthread", library / "libggml-base.so", f"-Wl,-rpath,{library}"],
        check=True,
    )  # fmt: skip
    return made


def ended(program: Path, how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, how], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("value", ["2"]),
        ("throw", ["told: ErrorDeviceLost", "-10"]),
        ("abort", ["told: ggml-cuda.cu:7: CUDA error", "-10", "2"]),
    ],
)
def test_a_guarded_step_ends_with_a_status(program: Path, how: str, told: list[str]) -> None:
    done = ended(program, how)
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, told, "")


@pytest.mark.parametrize("how", ["after", "beside"])
def test_elsewhere_ggml_ends_the_program_as_ever(program: Path, how: str) -> None:
    done = ended(program, how)
    assert done.returncode == -signal.SIGABRT
    assert "ggml-cuda.cu:7: CUDA error" in done.stderr
