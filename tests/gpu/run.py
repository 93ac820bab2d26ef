"""Build llama.cpp with Vulkan, and run the tests of this folder: on a GPU, or on one in software where there is none.

    python tests/gpu/run.py [PYTEST'S ARGUMENTS]

What is missing is said in a line with its cure; the exit code is 0 then, since nothing failed. The build takes some
15 minutes on 2 cores and is kept, as the wheel of `make setup` is.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "seallm_edge" / "native" / "wheel" / "build.py"
LIBRARY = ROOT / "build" / "gpu"
SOFTWARE = Path("/usr/share/vulkan/icd.d")  # of Mesa, whose lavapipe computes on the CPU
PACKAGES = "glslc libvulkan-dev spirv-headers mesa-vulkan-drivers"


def main(arguments: list[str]) -> int:
    """Run; the exit code of pytest."""
    if problem := missing_part():
        print(f"skipped: {problem}")
        return 0
    build = [sys.executable, str(BUILD), "--cmake-args", "-DGGML_VULKAN=ON"]
    wheel = subprocess.run(build, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    shutil.rmtree(LIBRARY, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(LIBRARY), wheel]
    subprocess.run(pip, check=True)
    pytest = [sys.executable, "-m", "pytest", "-v", str(Path(__file__).parent), *arguments]
    return subprocess.run(pytest, env={**os.environ, "PYTHONPATH": str(LIBRARY), **device()}, check=False).returncode


def missing_part() -> str:
    """What the build or the tests lack, with its cure; "" for nothing."""
    if sys.platform != "linux":
        return "this builds on Linux only; elsewhere install a llama-cpp-python with a GPU, and run pytest tests/gpu"
    if not shutil.which("glslc"):
        return f"glslc is missing; Debian, Ubuntu: sudo apt install {PACKAGES}"
    look = [*shlex.split(os.environ.get("CXX", "c++")), *shlex.split(os.environ.get("CXXFLAGS", "")), "-E", "-dM"]
    headers = subprocess.run(
        [*look, "-x", "c++", "-"], input="#include <vulkan/vulkan_core.h>", capture_output=True, text=True, check=False
    )
    if "VK_API_VERSION_1_4" not in headers.stdout:
        return (
            "llama.cpp needs Vulkan's headers 1.4, and the compiler finds older ones or none; unpack a newer "
            "libvulkan-dev, such as Debian 13's, and name it: CXXFLAGS='-isystem FOLDER/usr/include' make test-gpu"
        )
    if not has_gpu() and not software_driver():
        return f"there is neither a GPU nor one in software; Debian, Ubuntu: sudo apt install {PACKAGES}"
    return ""


def device() -> dict[str, str]:
    """Environment in which llama.cpp sees a GPU: one in software only if it is named."""
    if has_gpu() or "GGML_VK_VISIBLE_DEVICES" in os.environ:
        return {}
    return {"VK_ICD_FILENAMES": str(software_driver()), "GGML_VK_VISIBLE_DEVICES": "0"}


def has_gpu() -> bool:
    """Whether the kernel has a GPU to compute on."""
    return any(Path("/dev/dri").glob("renderD*"))


def software_driver() -> Path | None:
    """Description of Mesa's driver in software, if it is installed."""
    return next(iter(SOFTWARE.glob("lvp_icd*.json")), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
