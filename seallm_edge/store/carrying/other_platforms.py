"""Wheels for another platform, fetched with pip in the versions that are installed here."""

from __future__ import annotations

import importlib.util
import platform as this_platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InvalidOption, StoreError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

LLAMA = "llama-cpp-python"
_SECONDS = 3_600  # for all downloads of one call of pip
_GLIBC = range(5, 32)  # minor versions of glibc 2 whose wheels are taken: Raspberry Pi OS of 2021 has 2.31


@dataclass(frozen=True)
class Target:
    """Platform of another computer: its name, its system in words, the platform tags of its wheels, marker values."""

    name: str
    system: str
    tags: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def is_windows(self) -> bool:
        """Whether it is Windows."""
        return self.environment["sys_platform"] == "win32"

    @property
    def is_this(self) -> bool:
        """Whether this computer has it."""
        return (self.environment["sys_platform"], self.environment["platform_machine"].lower()) == (
            sys.platform, this_platform.machine().lower(),
        )  # fmt: skip


def _linux(machine: str) -> Target:
    tags = (*(f"manylinux_2_{minor}_{machine}" for minor in _GLIBC), f"manylinux2014_{machine}", f"linux_{machine}")
    return _target(f"linux_{machine}", f"Linux {machine}", tags, "linux", "Linux", machine)


def _target(name: str, system: str, tags: Sequence[str], *values: str) -> Target:
    keys = ("sys_platform", "platform_system", "platform_machine")
    environment = dict(zip(keys, values, strict=True))
    return Target(name, system, tuple(tags), environment | {"os_name": "nt" if values[0] == "win32" else "posix"})


TARGETS = {
    target.name: target
    for target in (
        _linux("x86_64"),
        _linux("aarch64"),
        _target("macosx_arm64", "macOS on Apple silicon", ["macosx_14_0_arm64"], "darwin", "Darwin", "arm64"),
        _target("macosx_x86_64", "macOS on Intel", ["macosx_13_0_x86_64"], "darwin", "Darwin", "x86_64"),
        _target("win_amd64", "Windows on x86-64", ["win_amd64"], "win32", "Windows", "AMD64"),
        _target("win_arm64", "Windows on Arm", ["win_arm64"], "win32", "Windows", "ARM64"),
    )
}


def target_named(name: str) -> Target:
    """Platform of this name. Raises InvalidOption."""
    if name not in TARGETS:
        raise InvalidOption(f"{name!r} is no platform of a runtime", f"give one of: {', '.join(TARGETS)}")
    return TARGETS[name]


def fetched(
    target: Target, wanted: Mapping[str, tuple[Requirement, Distribution | None]], folder: Path
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Fetch the wheels of `wanted` for `target` to `folder`: their paths, and sentences about what is missing.

    Versions are those installed here. Only llama-cpp-python may be missing: it is compiled on most platforms.
    Raises StoreError.
    """
    if importlib.util.find_spec("pip") is None:
        raise StoreError("this Python has no pip to fetch wheels with", f"run: {sys.executable} -m ensurepip")
    pins = {name: _pin(requirement, installed) for name, (requirement, installed) in wanted.items()}
    llama = pins.pop(LLAMA)
    if problem := _download(target, list(pins.values()), folder):
        raise StoreError(f"not every package has a wheel for {target.name}: {problem}", "connect, or make the export "
                         "on a computer of that kind, where it needs no network")  # fmt: skip
    notes: tuple[str, ...] = ()
    if _download(target, [llama], folder):
        problem = f"{llama} has no wheel for {target.name}, and the runtime is not complete without it"
        notes = (f"{problem}: build it on such a computer (seallm_edge/native/wheel/build.py), put it into runtime/",)
    return tuple(sorted(folder.glob("*.whl"))), notes


def _pin(requirement: Requirement, installed: Distribution | None) -> str:
    return f"{requirement.name}=={installed.version}" if installed else f"{requirement.name}{requirement.specifier}"


def _download(target: Target, requirements: Sequence[str], folder: Path) -> str:
    """Run `pip download`: "" or what went wrong."""
    platforms = [word for tag in target.tags for word in ("--platform", tag)]
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "-q", "--no-deps",
               "--only-binary=:all:", "--implementation", "cp", "--python-version", this_platform.python_version(),
               *platforms, "-d", str(folder), *requirements]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
    return "" if done.returncode == 0 else (lines or ["ERROR: pip failed"])[-1].removeprefix("ERROR: ")
