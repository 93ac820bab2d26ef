"""CPU variants whose flags the compiler refuses: left out by CMake, in a project with ggml's layout."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from seallm_edge.native.wheel.build import PROJECT_INCLUDE

GGML = """
cmake_minimum_required(VERSION 3.14)
project(ggml C)
add_compile_options("$<$<COMPILE_LANGUAGE:C>:-Wall;-Wextra>")
add_subdirectory(src)
"""
SRC = """
function(ggml_add_backend_library name)
  add_library(${name} MODULE)
endfunction()
add_subdirectory(ggml-cpu)
foreach(variant IN ITEMS plain fine newer cooperlake)
  set(own_flag ${flag_of_${variant}})
  ggml_add_cpu_backend_variant_impl(${variant})
endforeach()
"""
CPU = """
function(ggml_add_cpu_backend_variant_impl tag_name)
    set(GGML_CPU_NAME ggml-cpu-${tag_name})
    ggml_add_backend_library(${GGML_CPU_NAME})
    add_library(${GGML_CPU_NAME}-feats OBJECT ${CMAKE_CURRENT_SOURCE_DIR}/ggml-cpu/code.c)
    target_sources(${GGML_CPU_NAME} PRIVATE ggml-cpu/code.c)
    target_compile_options(${GGML_CPU_NAME} PRIVATE ${own_flag})
endfunction()
"""

ARM_COMPILER = "aarch64-linux-gnu-gcc"
AARCH64 = b"\xb7\x00"  # e_machine of an ELF file

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="gcc's and clang's flags"),
    pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("make")), reason="needs cmake and make"),
]


def cmake(*arguments: str | Path) -> str:
    done = subprocess.run(["cmake", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def project(folder: Path) -> Path:
    """Project with ggml's layout."""
    for name, text in {"CMakeLists.txt": GGML, "src/CMakeLists.txt": SRC, "src/ggml-cpu/CMakeLists.txt": CPU}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "src/ggml-cpu/code.c").write_text("int code(void) { return 1; }")
    return folder


def built(folder: Path) -> set[str]:
    """Names of the CPU variants in a build folder."""
    return {path.stem.removeprefix("libggml-cpu-") for path in folder.rglob("libggml-*")}


def test_only_variants_with_flags_that_the_compiler_knows_are_built(tmp_path: Path) -> None:
    project(tmp_path)
    ours = (tmp_path / "project.cmake", tmp_path / "left-out")
    start = PROJECT_INCLUDE.read_text()
    ours[0].write_text(start[: start.index("# ggml multiplies")])  # the rest changes files of ggml's own
    said = cmake(
        "-S", tmp_path, "-B", tmp_path / "build", "-G", "Unix Makefiles", f"-DCMAKE_PROJECT_INCLUDE={ours[0]}",
        "-DGGML_CPU_ALL_VARIANTS=ON", f"-DSEALLM_LEFT_OUT={ours[1]}",
        "-Dflag_of_fine=-funroll-loops", "-Dflag_of_newer=-march=processor-of-tomorrow+sme",
    )  # fmt: skip
    cmake("--build", tmp_path / "build")
    assert ours[1].read_text() == "newer: -march=processor-of-tomorrow+sme\n"
    assert "CPU variant newer is left out: the compiler refuses -march=processor-of-tomorrow+sme\n" in said
    assert built(tmp_path / "build") == {"plain", "fine"}
    assert len(list((tmp_path / "build").rglob("*.o"))) == 4


@pytest.mark.skipif(not shutil.which(ARM_COMPILER), reason=f"needs {ARM_COMPILER}")
def test_arm_is_built_from_ggmls_files_as_they_are(tmp_path: Path) -> None:
    project(tmp_path)  # without the files that are changed for x86-64: to change them would be an error
    cmake(
        "-S", tmp_path, "-B", tmp_path / "build", "-G", "Unix Makefiles", f"-DCMAKE_PROJECT_INCLUDE={PROJECT_INCLUDE}",
        "-DGGML_CPU_ALL_VARIANTS=ON", f"-DSEALLM_LEFT_OUT={tmp_path / 'left-out'}",
        "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64", f"-DCMAKE_C_COMPILER={ARM_COMPILER}",
        "-Dflag_of_fine=-march=armv8.2-a+dotprod", "-Dflag_of_newer=-march=armv10-a+sme9",
    )  # fmt: skip
    cmake("--build", tmp_path / "build")
    assert (tmp_path / "left-out").read_text() == "newer: -march=armv10-a+sme9\n"
    assert built(tmp_path / "build") == {"plain", "fine"}
    found = (tmp_path / "build").rglob("libggml-cpu-fine.so")
    assert next(found).read_bytes()[18:20] == AARCH64
