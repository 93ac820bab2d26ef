"""The processor's identity: the instructions that this process may use, whatever the system's files list."""

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.native import processor
from seallm_edge.native.processor import cpu_identity

CPUINFO = """processor\t: 0
model name\t: Eine CPU
cpu MHz\t\t: 1234.5
flags\t\t: fpu avx2

processor\t: 1
model name\t: Eine CPU
cpu MHz\t\t: 2345.6
flags\t\t: fpu avx2
"""


class Library:
    """A C library that knows of these functions, and of no others."""

    def __init__(self, **functions: Any) -> None:
        for name, function in functions.items():
            setattr(self, name, function)


@pytest.fixture(autouse=True)
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    return tmp_path / "cpuinfo"


def with_hwcaps(monkeypatch: pytest.MonkeyPatch, *hwcaps: int) -> str:
    """The identity where getauxval gives these."""
    values = dict(zip((16, 26, 29, 30), hwcaps, strict=True))
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Library(getauxval=lambda kind: values[kind]))
    return cpu_identity()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
def test_the_identity_is_instructions_and_name_and_nothing_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_hwcaps(monkeypatch, 0x1F, 2, 0, 0).splitlines() == [
        platform.machine(), "hwcap 1f 2 0 0", "flags\t\t: fpu avx2", "model name\t: Eine CPU",
    ]  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
def test_other_instructions_are_another_processor_under_the_same_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_hwcaps(monkeypatch, 1, 2, 0, 0) != with_hwcaps(monkeypatch, 1, 3, 0, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
def test_vectors_of_another_length_are_another_arm_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    said = []
    for length in (16, 64):
        monkeypatch.setattr(ctypes, "CDLL", lambda _name, length=length: Library(prctl=lambda *_: length))
        said.append(cpu_identity().splitlines()[:2])
    assert said == [["aarch64", "sve 16"], ["aarch64", "sve 64"]]


def test_where_the_c_library_says_nothing_the_name_counts(monkeypatch: pytest.MonkeyPatch, cpuinfo: Path) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Library())
    cpuinfo.unlink()
    assert cpu_identity() == f"{platform.machine()}\n{platform.processor()}"


def test_a_process_has_one_identity() -> None:
    assert cpu_identity() == cpu_identity()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc tells of cpuid")
@pytest.mark.skipif(platform.machine() != "x86_64" or not shutil.which("qemu-x86_64"), reason="needs qemu-x86_64")
def test_an_emulated_processor_is_another_one() -> None:
    script = f"import sys; sys.path[:0] = {sys.path!r}\nfrom seallm_edge.native.processor import cpu_identity\n"
    python = [os.path.realpath(sys.executable), "-c", f"{script}print(cpu_identity())"]
    runs = [
        subprocess.run([*emulator, *python], capture_output=True, text=True, check=True).stdout.splitlines()
        for emulator in ([], [], ["qemu-x86_64", "-cpu", "Nehalem"])
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert [line for line in runs[0] if line.startswith("flags")] == [
        line for line in runs[2] if line.startswith("flags")
    ]
