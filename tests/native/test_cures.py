"""What keeps llama-cpp-python from being loaded, in one line with its cure."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from seallm_edge import EngineError
from seallm_edge.native.cures import AGAIN, loading_problem, refuse_32_bits, with_cure

FAILED = "Failed to load shared library '/x/llama_cpp/lib/libllama.so': "


@pytest.mark.parametrize(
    ("error", "message", "cure"),
    [
        (
            RuntimeError(f"{FAILED}libgomp.so.1: cannot open shared object file: No such file or directory"),
            "llama-cpp-python needs libgomp.so.1, which this system lacks",
            "Debian, Ubuntu, Raspberry Pi OS: sudo apt install libgomp1 · ",
        ),
        (
            RuntimeError(f"{FAILED}libodd.so.3: cannot open shared object file: No such file or directory"),
            "llama-cpp-python needs libodd.so.3, which this system lacks",
            "install the package of this system that has libodd.so.3",
        ),
        (
            RuntimeError(f"{FAILED}/lib/libm.so.6: version `GLIBC_2.38' not found (required by /x/libggml.so)"),
            "llama-cpp-python was built for a newer system than this one, which lacks GLIBC_2.38",
            "build it for this machine: CMAKE_ARGS=",
        ),
        (
            RuntimeError(f"{FAILED}/usr/lib/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by x)"),
            "llama-cpp-python was built for a newer system than this one, which lacks GLIBCXX_3.4.32",
            "build it for this machine: CMAKE_ARGS=",
        ),
        (
            ModuleNotFoundError("No module named 'llama_cpp'", name="llama_cpp"),
            "llama-cpp-python is not installed",
            "install it: pip install llama-cpp-python",
        ),
        (RuntimeError("Unsupported\nplatform"), "llama-cpp-python cannot be loaded: Unsupported platform", AGAIN),
    ],
)
def test_what_is_missing_is_named_with_its_cure(error: Exception, message: str, cure: str) -> None:
    problem = loading_problem(error, "linux")
    assert problem.message == message
    assert str(problem.hint).startswith(cure)


def test_windows_without_its_runtime_is_told_to_install_it() -> None:
    error = FileNotFoundError("Could not find module 'C:\\llama.dll' (or one of its dependencies).")
    assert "Visual C++ Redistributable" in str(loading_problem(error, "win32").hint)


def test_a_system_of_32_bits_is_refused() -> None:
    refuse_32_bits()
    with pytest.raises(EngineError, match="this Python has 32 bits, and models need 64") as caught:
        refuse_32_bits(4)
    assert "64-bit Raspberry Pi OS" in str(caught.value.hint)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Android's system is Linux")
def test_android_by_its_newer_name_is_accepted() -> None:
    code = """
    import sys
    import psutil  # Termux has a build of its own
    sys.platform = "android"
    from seallm_edge.machine import this_machine
    from seallm_edge.native.backends import load_backends
    assert load_backends().variant
    assert this_machine().memory_total
    assert sys.platform == "android"
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("library", "cure"),
    [
        ("libcuda.so.1", "install NVIDIA's driver"),
        ("libcudart.so.13", "install CUDA of the version that this was built with"),
        ("libcublas.so.13", "install CUDA of the version that this was built with"),
        ("libvulkan.so.1", "Debian, Ubuntu: sudo apt install libvulkan1 · Fedora: sudo dnf install vulkan-loader"),
    ],
)
def test_a_backend_without_its_driver_is_told_what_to_install(library: str, cure: str) -> None:
    problem = f"it cannot be loaded: {library}: cannot open shared object file: No such file or directory"
    assert with_cure(problem) == f"it needs {library}, which this system lacks: {cure}"
    assert with_cure("its trial died of SIGSEGV") == "its trial died of SIGSEGV"
