#!/usr/bin/env python3
"""Build llama-cpp-python with every CPU variant, once per user; print the wheel's path.

Runs before anything is installed, so it knows the standard library only. A wheel is built in a scratch folder and
renamed into the cache when whole, so what the cache holds is always complete.

    python3 seallm_edge/native/wheel/build.py
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

VERSION = "0.3.36"

CMAKE_FLAGS = (
    "-DGGML_NATIVE=OFF",  # gcc 12 miscompiles AMX set-up under -march=native; a cached wheel must be portable anyway
    "-DGGML_BACKEND_DL=ON",
    "-DGGML_CPU_ALL_VARIANTS=ON",
    "-DLLAVA_BUILD=OFF",
    "-DLLAMA_BUILD_TOOLS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_SERVER=OFF",
)
PROJECT_INCLUDE = Path(__file__).parent / "project.cmake"
BUILD_FILES = (
    PROJECT_INCLUDE,
    PROJECT_INCLUDE.with_name("block_search.h"),
    PROJECT_INCLUDE.with_name("guard.h"),
    *sorted(PROJECT_INCLUDE.with_name("kernels").glob("*.[ch]")),
)


def main() -> int:
    """Print the path of a finished wheel, building it first where the cache has none; 1 when that fails."""
    flags = (*CMAKE_FLAGS, *added_flags(sys.argv[1:]))
    compiler = compiler_identity()
    if compiler is None:
        print(
            "no C++ compiler found (looked for $CXX, c++, g++, clang++)\n"
            "  Debian, Ubuntu: sudo apt install g++ make · Fedora: sudo dnf install gcc-c++ make · "
            "macOS: xcode-select --install",
            file=sys.stderr,
        )
        return 1
    entry = cache_root() / cache_key(flags, compiler)
    if not (wheel := find_wheel(entry)):
        try:
            wheel = build(flags, entry)
        except subprocess.CalledProcessError as error:
            print(f"building llama-cpp-python {VERSION} failed (exit {error.returncode}); see above", file=sys.stderr)
            return 1
    print(wheel)
    return 0


def added_flags(arguments: list[str]) -> list[str]:
    """CMake flags of `--cmake-args`, given any number of times. Exits with a message at any other argument."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument(
        "--cmake-args", action="append", default=[], metavar='"FLAG ..."',
        help='more CMake flags, such as --cmake-args "-DGGML_CUDA=ON"',
    )  # fmt: skip
    # argparse takes a value that begins with a dash for another option, unless an equals sign joins the two.
    joined, rest = [], iter(arguments)
    for argument in rest:
        value = next(rest, None) if argument == "--cmake-args" else None
        joined.append(argument if value is None else f"{argument}={value}")
    return " ".join(parser.parse_args(joined).cmake_args).split()


def cache_root() -> Path:
    """The per-user folder of built wheels: `SEALLM_WHEEL_CACHE`, else below `XDG_CACHE_HOME` or `~/.cache`."""
    if chosen := os.environ.get("SEALLM_WHEEL_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seallm-edge" / "wheels"


def cache_key(flags: tuple[str, ...], compiler: str) -> str:
    """A folder name that changes with everything that changes the wheel."""
    texts = [path.read_text(encoding="utf-8") for path in BUILD_FILES]
    facts = [VERSION, flags, texts, compiler, sysconfig.get_platform(), platform.libc_ver()]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return f"llama_cpp_python-{VERSION}-{sysconfig.get_platform()}-{digest}"


def compiler_identity() -> str | None:
    """What the C++ compiler says of itself; None without one. Windows leaves the choice to CMake."""
    if sys.platform == "win32":
        return "msvc"
    for name in filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++")):
        if path := shutil.which(name):
            return subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    return None


def find_wheel(entry: Path) -> Path | None:
    """Wheel in an entry of the cache, if there is one."""
    return next(iter(sorted(entry.glob("*.whl"))), None)


def build(flags: tuple[str, ...], entry: Path) -> Path:
    """Build, check and shelve the wheel; the path it then has. Raises `subprocess.CalledProcessError`."""
    print(f"building llama-cpp-python {VERSION} for every CPU (once; about 9 minutes on 2 cores)", file=sys.stderr)
    entry.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=entry.parent) as scratch:
        left_out = Path(scratch) / "left-out"
        flags = (*flags, f"-DSEALLM_LEFT_OUT={left_out.as_posix()}")
        cmake_args = ";".join((*flags, f"-DCMAKE_PROJECT_INCLUDE={PROJECT_INCLUDE.resolve().as_posix()}"))
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(os.cpu_count() or 2)
        environment = {**os.environ, "SKBUILD_CMAKE_ARGS": cmake_args, "CMAKE_BUILD_PARALLEL_LEVEL": jobs}
        finished = Path(scratch) / "wheel"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps"]
        pip += ["--no-binary", "llama-cpp-python", "--no-cache-dir", "--wheel-dir", str(finished)]
        subprocess.run([*pip, f"llama-cpp-python=={VERSION}"], env=environment, check=True, stdout=sys.stderr)
        check_wheel(finished)
        report_variants(left_out)
        try:
            finished.rename(entry)
        except OSError:  # another build of the same wheel was quicker
            if not find_wheel(entry):
                raise
    wheel = find_wheel(entry)
    if wheel is None:
        raise FileNotFoundError(f"no wheel in {entry}")
    return wheel


def report_variants(left_out: Path) -> None:
    """Say on stderr which CPU variants the build left out: `left_out` has a line for each, where there are any."""
    for line in left_out.read_text(encoding="utf-8").splitlines() if left_out.exists() else ():
        name, _, refused = line.partition(": ")
        print(
            f"CPU variant {name} is left out: this compiler refuses {refused}; a later one builds it", file=sys.stderr
        )


def check_wheel(folder: Path) -> None:
    """Raise unless the wheel in `folder` is whole and carries llama.cpp and a CPU backend."""
    wheel = find_wheel(folder)
    if wheel is None:
        raise FileNotFoundError(f"pip left no wheel in {folder}")
    with zipfile.ZipFile(wheel) as archive:
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(f"{wheel.name}: {damaged} is damaged")
        names = archive.namelist()
    for part in ("llama_cpp/lib/", "ggml-cpu"):
        if not any(part in name for name in names):
            raise FileNotFoundError(f"{wheel.name} has no {part}")


if __name__ == "__main__":
    sys.exit(main())
