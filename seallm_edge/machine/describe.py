"""This computer: its cores by kind, SIMD, memory. Read without native code, so that it works where that fails.

What it cannot see: other processes' load, and GPUs (`Gpu` is what the native floor reports them as).
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import linux, windows
from .linux import Hardware

# ref: sysctl hw.optional.arm
MACOS_SIMD = ("AdvSIMD", "FEAT_DotProd", "FEAT_I8MM", "FEAT_BF16", "FEAT_SME")


@dataclass(frozen=True)
class Gpu:
    """A GPU as llama.cpp sees it; memory in bytes."""

    name: str
    description: str
    memory_free: int
    memory_total: int


@dataclass(frozen=True)
class Machine:
    """What inference can use; memory in bytes.

    cores_performance, cores_efficiency  physical cores, not hardware threads
    cores_usable                         how many cores' worth of time this process may use (affinity, cgroup quota)
    cores_usable_performance             how many of them may be performance cores
    simd                                 instruction sets that matter to ggml, as the system names them
    memory_available                     what can be taken without swapping, inside the cgroup's limit
    """

    cpu_name: str
    architecture: str
    cores_performance: int
    cores_efficiency: int
    cores_usable: int
    cores_usable_performance: int
    simd: tuple[str, ...]
    memory_total: int
    memory_available: int
    os: str

    @property
    def threads(self) -> int:
        """How many threads to decode with: one a performance core, as slower cores would make those wait. Where this
        process may use slower cores only, one of each.
        """
        return max(1, self.cores_usable_performance or self.cores_usable)


def this_machine() -> Machine:
    """The computer this runs on, as it is now."""
    import psutil

    memory, hardware = psutil.virtual_memory(), _hardware()
    left = memory.available if hardware.memory_left is None else hardware.memory_left
    return Machine(
        cpu_name=hardware.cpu_name or platform.machine(),
        architecture=platform.machine(),
        cores_performance=hardware.cores_performance,
        cores_efficiency=hardware.cores_efficiency,
        cores_usable=hardware.cores_usable,
        cores_usable_performance=hardware.cores_usable_performance,
        simd=hardware.simd,
        memory_total=min(memory.total, hardware.memory_limit or memory.total),
        memory_available=min(memory.available, left),
        os=f"{platform.system()} {platform.release()}",
    )


def _hardware() -> Hardware:
    hardware = None
    if sys.platform == "linux":
        hardware = linux.read(Path("/"), frozenset(os.sched_getaffinity(0)))
    elif sys.platform == "darwin":
        kinds = macos_cores(sysctl, _physical_cores())
        hardware = _free_hardware(sysctl("machdep.cpu.brand_string"), macos_simd(sysctl), *kinds)
    elif told := windows.core_relations():
        hardware = Hardware(platform.processor(), (), *windows.cores(told, windows.allowed_cpus()))
    return hardware or _free_hardware(platform.processor(), (), _physical_cores(), 0)


def _free_hardware(name: str, simd: tuple[str, ...], performance: int, efficiency: int) -> Hardware:
    """Hardware that this process may use all of."""
    return Hardware(name, simd, performance, efficiency, performance + efficiency, performance)


def _physical_cores() -> int:
    import psutil

    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


def macos_cores(sysctl: Callable[[str], str], physical: int) -> tuple[int, int]:
    """(performance, efficiency) cores by what `sysctl` answers; Intel Macs have one kind."""
    if sysctl("hw.nperflevels") != "2":
        return physical, 0
    return int(sysctl("hw.perflevel0.physicalcpu")), int(sysctl("hw.perflevel1.physicalcpu"))


def macos_simd(sysctl: Callable[[str], str]) -> tuple[str, ...]:
    """The instruction sets that `sysctl` says this Mac has: Arm's by feature, Intel's by name."""
    arm = (name for name in MACOS_SIMD if "1" in (sysctl(f"hw.optional.arm.{name}"), sysctl(f"hw.optional.{name}")))
    intel = f"{sysctl('machdep.cpu.features')} {sysctl('machdep.cpu.leaf7_features')}".lower().replace(".", "_").split()
    return tuple(sorted({*arm, *linux.SIMD_FLAGS.intersection(intel)}))


def sysctl(name: str) -> str:
    """macOS's value of `name`, or nothing."""
    try:
        answer = subprocess.run(
            ["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()
