"""Why llama-cpp-python cannot be loaded here, in one line with its cure."""

from __future__ import annotations

import re
import struct
import sys

from ..errors import EngineError

AGAIN = "install it again: pip install --force-reinstall llama-cpp-python"
REBUILD = (
    'build it for this machine: CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_BACKEND_DL=ON -DGGML_CPU_ALL_VARIANTS=ON" '
    "pip install --force-reinstall --no-cache-dir --no-binary llama-cpp-python llama-cpp-python"
)
_NEWER_SYSTEM = re.compile(r"version [`']((?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)' not found")
_MISSING_FILE = re.compile(r"(\S+\.so[\d.]*): cannot open shared object file")
_PACKAGES = {
    "libgomp": "Debian, Ubuntu, Raspberry Pi OS: sudo apt install libgomp1 · Fedora: sudo dnf install libgomp · "
    "Alpine: sudo apk add libgomp",
    "libstdc++": "Debian, Ubuntu: sudo apt install libstdc++6 · Alpine: sudo apk add libstdc++",
    "libvulkan": "Debian, Ubuntu: sudo apt install libvulkan1 · Fedora: sudo dnf install vulkan-loader",
    "libcuda.so": "install NVIDIA's driver",
    "libcuda": "install CUDA of the version that this was built with",
    "libcublas": "install CUDA of the version that this was built with",
    "ld-linux": REBUILD,
    "libc.musl": REBUILD,
}
_POINTER_BYTES = struct.calcsize("P")


def refuse_32_bits(pointer_bytes: int = _POINTER_BYTES) -> None:
    """Raises EngineError on a system of 32 bits: no model's file fits in its addresses."""
    if pointer_bytes < 8:
        raise EngineError(
            "this Python has 32 bits, and models need 64",
            "install a 64-bit Python; a Raspberry Pi 3 or later runs the 64-bit Raspberry Pi OS",
        )


def with_cure(problem: str) -> str:
    """The problem of a backend; with what mends it, where a library is missing."""
    found = _MISSING_FILE.search(problem)
    return f"it needs {found[1]}, which this system lacks: {_cure_of(found[1])}" if found else problem


def _cure_of(library: str) -> str:
    known = next((cure for name, cure in _PACKAGES.items() if library.startswith(name)), None)
    return known or f"install the package of this system that has {library}"


def loading_problem(error: BaseException, platform: str = sys.platform) -> EngineError:
    """The problem that importing llama_cpp ended with, and what mends it."""
    words = " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError) and error.name == "llama_cpp":
        return EngineError("llama-cpp-python is not installed", "install it: pip install llama-cpp-python")
    if found := _NEWER_SYSTEM.search(words):
        return EngineError(
            f"llama-cpp-python was built for a newer system than this one, which lacks {found[1]}", REBUILD
        )
    if found := _MISSING_FILE.search(words):
        return EngineError(f"llama-cpp-python needs {found[1]}, which this system lacks", _cure_of(found[1]))
    if platform == "win32" and isinstance(error, OSError | RuntimeError) and "could not find module" in words.lower():
        return EngineError(
            f"llama-cpp-python cannot be loaded: {words}",
            "install Microsoft's Visual C++ Redistributable (x64), then start a new terminal",
        )
    return EngineError(f"llama-cpp-python cannot be loaded: {words}", AGAIN)
