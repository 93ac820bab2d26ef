"""Processor identity: the instructions that this very process may use, and the processor's name.

/proc/cpuinfo alone is no identity: under an emulator, and in some containers, it describes the host.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_CPUINFO_KEYS = ("model name", "flags", "Features", "CPU part")
_HWCAPS = (16, 26, 29, 30)  # AT_HWCAP, AT_HWCAP2, AT_HWCAP3, AT_HWCAP4; ref: Linux include/uapi/linux/auxvec.h
_PR_SVE_GET_VL = 51  # ref: Linux include/uapi/linux/prctl.h
_N_LEAVES = 16  # more than glibc knows; it answers zeros for the rest


class _Leaf(ctypes.Structure):
    """struct cpuid_feature: registers as the processor gives them, and the bits in them that programs may rely on.

    ref: glibc sysdeps/x86/sys/platform/x86.h
    """

    _fields_ = [("cpuid", ctypes.c_uint32 * 4), ("active", ctypes.c_uint32 * 4)]


def cpu_identity() -> str:
    """Text that changes when this machine's processor changes, or what this process may use of it."""
    return "\n".join([platform.machine(), *_instructions(), *_names()])


def _instructions() -> list[str]:
    """Instruction sets as the C library found them when this process began; empty where it does not say."""
    if sys.platform == "win32":
        return []
    libc = ctypes.CDLL(None)
    found = []
    if (hwcap := getattr(libc, "getauxval", None)) is not None:
        hwcap.restype, hwcap.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
        found.append("hwcap " + " ".join(f"{hwcap(kind):x}" for kind in _HWCAPS))
    if (prctl := getattr(libc, "prctl", None)) is not None and platform.machine() == "aarch64":
        # The hardware capabilities are the same for every length, and ggml's products are not right with all of them.
        found.append(f"sve {prctl(_PR_SVE_GET_VL)}")
    if (leaf := getattr(libc, "__x86_get_cpuid_feature_leaf", None)) is not None:
        leaf.restype, leaf.argtypes = ctypes.POINTER(_Leaf), [ctypes.c_uint]
        bits = (bit for number in range(_N_LEAVES) for bit in leaf(number).contents.active)
        found.append("cpuid " + " ".join(f"{bit:x}" for bit in bits))
    return found


def _names() -> list[str]:
    """The processor's lines of /proc/cpuinfo, each once; elsewhere its name."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return [platform.processor()]
    return sorted({line for line in lines if line.startswith(_CPUINFO_KEYS)})
