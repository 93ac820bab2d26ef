"""Hardware of this computer: cores by kind, SIMD, memory. Needs no llama.cpp, so that it works where that fails.

Does not know the load of other processes, nor GPUs: `native` reports those as `Gpu`.
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

_WORTHWHILE_SPEEDUP = 1.1  # below it, a GPU is not worth its memory
# ref: sysctl hw.optional.arm
MACOS_SIMD = ("AdvSIMD", "FEAT_DotProd", "FEAT_I8MM", "FEAT_BF16", "FEAT_SME")


@dataclass(frozen=True)
class Gpu:
    """GPU as llama.cpp reports it; memory in bytes.

    is_integrated        its memory is the main memory
    speedup              how many times as fast as the CPU it was for a model; None where that was not measured
    problem              why it cannot run that model; "" for nothing known
    has_flash_attention  whether it is known to have code for it, with the heads of that model
    """

    name: str
    description: str
    memory_free: int
    memory_total: int
    is_integrated: bool = False
    speedup: float | None = None
    problem: str = ""
    has_flash_attention: bool = False

    @property
    def is_worth_using(self) -> bool:
        """Whether a model is faster on it, as far as known: by a measurement, else by having memory of its own."""
        if self.problem:
            return False
        return not self.is_integrated if self.speedup is None else self.speedup >= _WORTHWHILE_SPEEDUP


@dataclass(frozen=True)
class Machine:
    """Hardware for inference; memory in bytes.

    cores_performance, cores_efficiency  physical cores, not hardware threads
    cores_usable                         cores that this process may use (affinity, cgroup quota)
    cores_usable_performance             performance cores among them
    simd                                 instruction sets that ggml uses, as the system names them
    memory_available                     memory free without swapping, within the cgroup's limit
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
        """Default number of decode threads: one for each performance core, since slower cores would make those wait.
        If the process may use efficiency cores only, one for each.
        """
        return max(1, self.cores_usable_performance or self.cores_usable)


def this_machine() -> Machine:
    """Hardware of this computer, with the memory free now."""
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
    if sys.platform in ("linux", "android"):
        hardware = linux.read(Path("/"), frozenset(os.sched_getaffinity(0)))
    elif sys.platform == "darwin":
        kinds = macos_cores(sysctl, _physical_cores())
        hardware = _free_hardware(sysctl("machdep.cpu.brand_string"), macos_simd(sysctl), *kinds)
    elif told := windows.core_relations():
        hardware = Hardware(platform.processor(), (), *windows.cores(told, windows.allowed_cpus()))
    return hardware or _free_hardware(platform.processor(), (), _physical_cores(), 0)


def _free_hardware(name: str, simd: tuple[str, ...], performance: int, efficiency: int) -> Hardware:
    """Hardware without limits for this process."""
    return Hardware(name, simd, performance, efficiency, performance + efficiency, performance)


def _physical_cores() -> int:
    import psutil

    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


def macos_cores(sysctl: Callable[[str], str], physical: int) -> tuple[int, int]:
    """(performance, efficiency) cores by `sysctl`; Intel Macs have one kind."""
    if sysctl("hw.nperflevels") != "2":
        return physical, 0
    return int(sysctl("hw.perflevel0.physicalcpu")), int(sysctl("hw.perflevel1.physicalcpu"))


def macos_simd(sysctl: Callable[[str], str]) -> tuple[str, ...]:
    """Instruction sets by `sysctl`: Arm's by feature, Intel's by name."""
    arm = (name for name in MACOS_SIMD if "1" in (sysctl(f"hw.optional.arm.{name}"), sysctl(f"hw.optional.{name}")))
    intel = f"{sysctl('machdep.cpu.features')} {sysctl('machdep.cpu.leaf7_features')}".lower().replace(".", "_").split()
    return tuple(sorted({*arm, *linux.SIMD_FLAGS.intersection(intel)}))


def sysctl(name: str) -> str:
    """Value of macOS's sysctl `name`; "" where it has none."""
    try:
        answer = subprocess.run(
            ["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()
