"""ggml's C functions, out of the very library that libllama links.

llama-cpp-python's wheel holds copies of each library under several names, and a second copy loaded by name would be
a second, empty ggml. Looking symbols up through libllama's own handle always finds the right one.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import EngineError
from .cures import loading_problem, refuse_32_bits

_SPINS = "1000"
_USERS_CHOICE = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}


@cache
def llama_cpp() -> Any:
    """llama-cpp-python's low-level module. Raises EngineError where it is missing or cannot be loaded."""
    refuse_32_bits()
    try:
        with short_spinning(), _android_as_linux():
            import llama_cpp.llama_cpp as bindings
    except (ImportError, OSError, RuntimeError) as error:
        raise loading_problem(error) from error
    atexit.register(_close_null_files)
    return bindings


def _close_null_files() -> None:
    """Close the two files on the null device that llama_cpp opens when it is imported, and never closes; whoever uses
    its own `Llama` needs them until the end of the program.
    """
    utilities = sys.modules.get("llama_cpp._utils")
    for name in ("outnull_file", "errnull_file"):
        if file := getattr(utilities, name, None):
            file.close()


@contextmanager
def _android_as_linux() -> Iterator[None]:
    """Import llama_cpp inside this: it knows Android only by the name that Python gave it before 3.13."""
    platform = sys.platform
    sys.platform = "linux" if platform == "android" else platform
    try:
        yield
    finally:
        sys.platform = platform


@contextmanager
def short_spinning() -> Iterator[None]:
    """Load native code inside this: OpenMP's threads, which wait for one another some 450 times a token, then spin
    but shortly before they sleep. libgomp's default holds a core that the thread waited for may need, and on a busy
    computer a reply becomes some ten times slower (docs/performance.md). What the user has set stays.
    """
    ours = {"GOMP_SPINCOUNT": _SPINS} if os.environ.keys().isdisjoint(_USERS_CHOICE) else {}
    os.environ.update(ours)  # libgomp reads it while it is loaded, and never again
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


@cache
def function(name: str, restype: Any, *argtypes: Any) -> Any:
    """ggml's C function `name`, typed. Raises EngineError if this build has none."""
    for library in _libraries():
        try:
            # Indexing makes an object of its own, so that nobody else's argtypes change.
            found = library[name]
        except AttributeError:
            continue
        found.restype = restype
        found.argtypes = argtypes
        return found
    raise EngineError(f"this build of llama.cpp has no {name}", "install llama-cpp-python 0.3.36 or later")


def library_folder() -> Path:
    """The folder of libllama and its like."""
    return Path(llama_cpp()._base_path)


def libllama_path() -> Path:
    """The file of libllama itself."""
    return Path(llama_cpp()._lib._name)


@cache
def _libraries() -> tuple[ctypes.CDLL, ...]:
    libllama = llama_cpp()._lib
    if sys.platform == "win32":  # elsewhere a look-up in a library searches what it links as well
        paths = (library_folder() / name for name in ("ggml-base.dll", "ggml.dll", "ggml-cpu.dll"))
        return (libllama, *(ctypes.CDLL(str(path)) for path in paths if path.exists()))
    return (libllama,)
