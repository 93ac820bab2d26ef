"""Processors that qemu emulates, with Python on them, whose children are emulated too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from commands import found
from debian_root import REPOSITORY, cross_built, debian_root, install

# Launcher that starts Python through the emulator. Python starts its children with the launcher's path.
LAUNCHER = """
#include <unistd.h>
int main(int count, char **arguments) {
    char *command[count + 16], *emulator[] = { %s, "-0", "%s", "%s" };
    int n = 0;
    for (unsigned i = 0; i < sizeof emulator / sizeof *emulator; i++) command[n++] = emulator[i];
    for (int i = 1; i < count; i++) command[n++] = arguments[i];
    command[n] = 0;
    execv(command[0], command);
    return 126;
}
"""


@dataclass(frozen=True)
class Processor:
    """Emulated processor: its Python launcher, and the expected CPU variant."""

    name: str
    python: tuple[str, ...]
    environment: dict[str, str]
    project: str  # the folder of tests, and one for files, as paths in the emulated system
    scratch: str
    files: Path  # the folder for files, as a path here
    variant: str  # prefix of its name


@dataclass(frozen=True)
class Kind:
    """Kind of processor: its name for people and for qemu, and the CPU variant that has to be taken on it."""

    words: str
    cpu: str
    variant: str
    is_arm: bool = False


KINDS = {
    "nehalem": Kind("x86-64 without AVX", "Nehalem", "sse42"),
    "sandybridge": Kind("x86-64 with AVX", "SandyBridge", "sandybridge"),
    "haswell": Kind("x86-64 with AVX2", "Haswell", "haswell"),
    "cortex-a53": Kind("Arm without dot products, as in a Raspberry Pi 3", "cortex-a53", "armv8.0_1", is_arm=True),
    "cortex-a76": Kind("Arm with dot products, as in a Raspberry Pi 5", "cortex-a76", "armv8.2", is_arm=True),
    # Vectors of 256 bits: with qemu's default of 512, ggml's Q4_K products are wrong, and the trial refuses armv8.6.
    "arm-max": Kind("Arm with all that qemu knows", "max,sve-default-vector-length=32", "armv8.6_2", is_arm=True),
}


def processor(name: str, work: Path) -> Processor:
    """Processor of `KINDS`, whose files and builds lie in `work`."""
    kind = KINDS[name]
    return _arm(kind, work) if kind.is_arm else _x86(name, kind, work)


def native(work: Path) -> Processor:
    """This computer's own processor, to compare with."""
    folder = work / "native"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = {**os.environ, "SEALLM_HOME": str(folder / "home")}
    python = (sys.executable,)
    return Processor("this computer's own", python, environment, str(REPOSITORY), str(folder), folder, "")


def _x86(name: str, kind: Kind, work: Path) -> Processor:
    """This environment's Python on another x86-64."""
    emulator = (found("qemu-x86_64"), "-cpu", kind.cpu)
    shutil.rmtree(folder := work / name, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    shutil.copy(Path(sys.prefix, "pyvenv.cfg"), folder)  # gives the launcher this environment's libraries
    (folder / "lib").symlink_to(Path(sys.prefix, "lib"))
    launcher = _compiled(folder / "bin/python", folder / "bin/python", Path(sys.executable).resolve(), *emulator)
    # Without OPENBLAS_CORETYPE: it makes numpy use instructions that such a processor lacks.
    kept = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    environment = {**kept, "HOME": str(folder), "SEALLM_HOME": str(folder / "home")}
    return Processor(kind.words, (str(launcher),), environment, str(REPOSITORY), str(folder), folder, kind.variant)


def _arm(kind: Kind, work: Path) -> Processor:
    """Python of a Debian root for arm64, with a wheel that was built for it here."""
    root = debian_root(work / "root")
    emulator = (found("qemu-aarch64-static"), "-cpu", kind.cpu)
    shutil.copy(emulator[0], root / "usr/bin")
    python = next(path for path in (root / "usr/bin").glob("python3.*") if path.name[8:].isdecimal())
    _compiled(root / "usr/bin/emulated", Path("/usr/bin/emulated"), Path("/usr/bin", python.name), *emulator)
    install(root, python.name.removeprefix("python"), cross_built(work / "wheels"))
    for name in ("tests", "pyproject.toml"):
        source, target = REPOSITORY / name, root / "project" / name
        shutil.copytree(source, target, dirs_exist_ok=True) if source.is_dir() else shutil.copy(source, target)
    shutil.rmtree(root / "tmp", ignore_errors=True)
    (root / "tmp").mkdir()
    enter = 'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$0" "$@"'
    environment = {
        "PATH": os.environ["PATH"], "HOME": "/root", "SEALLM_HOME": "/tmp/home", "PYTHONPATH": "/site",
        "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    command = ("unshare", "--mount", "sh", "-c", enter, str(root), "/usr/bin/emulated")
    return Processor(kind.words, command, environment, "/project", "/tmp", root / "tmp", kind.variant)


def _compiled(path: Path, name: Path, python: Path, *emulator: str) -> Path:
    """Compile the launcher of `python` at `path`; `name` is its path in the emulated system."""
    words = ", ".join(f'"{word}"' for word in emulator)
    source = LAUNCHER % (words, name, python)
    subprocess.run(["gcc", "-static", "-xc", "-", "-o", str(path)], input=source, text=True, check=True)
    return path
