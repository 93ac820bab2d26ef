"""CPU cores on Windows, by GetLogicalProcessorInformationEx; none if the call fails."""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

# ref: winnt.h, SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX with PROCESSOR_RELATIONSHIP
_RELATION_PROCESSOR_CORE = 0
_HEAD = struct.Struct("<II")  # Relationship, Size
_CORE = struct.Struct("<BB20xH")  # Flags, EfficiencyClass (higher is faster), GroupCount
_GROUP = struct.Struct("<QH6x")  # Mask, Group; on 64-bit Windows
_GROUP_CPUS = 64


class Cores(NamedTuple):
    """Numbers of cores by kind, and of those that this process may use."""

    performance: int
    efficiency: int
    usable: int
    usable_performance: int


def cores(told: bytes, allowed: frozenset[int] | None = None) -> Cores:
    """Cores by kind from `core_relations`; cores of the fastest class are performance cores, all others efficiency.

    `allowed` are the CPUs that this process may run on, None for all; they are numbered 64 to a group.
    """
    found = list(_cores(told))
    fastest = max((kind for kind, _ in found), default=0)
    usable = [kind for kind, cpus in found if allowed is None or cpus & allowed]
    n_performance = sum(1 for kind, _ in found if kind == fastest)
    return Cores(n_performance, len(found) - n_performance, max(len(usable), 1), usable.count(fastest))


def core_relations() -> bytes:
    """Core records of Windows for `cores`; empty on other systems and if the call fails."""
    if sys.platform == "win32":
        ask = ctypes.WinDLL("kernel32").GetLogicalProcessorInformationEx
        size = ctypes.c_uint32(0)
        ask(_RELATION_PROCESSOR_CORE, None, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        if ask(_RELATION_PROCESSOR_CORE, buffer, ctypes.byref(size)):
            return buffer.raw[: size.value]
    return b""


def allowed_cpus() -> frozenset[int] | None:
    """CPU affinity of this process; None if it is unknown, or covers only one of several processor groups."""
    import psutil

    try:
        return frozenset(psutil.Process().cpu_affinity() or ()) or None
    except (AttributeError, OSError, ValueError):  # not on this platform; several groups
        return None


def _cores(told: bytes) -> Iterator[tuple[int, frozenset[int]]]:
    """(efficiency class, CPUs) of each core."""
    offset = 0
    while offset + _HEAD.size + _CORE.size <= len(told):
        relation, size = _HEAD.unpack_from(told, offset)
        if size < _HEAD.size:
            return
        if relation == _RELATION_PROCESSOR_CORE:
            _, kind, n_groups = _CORE.unpack_from(told, offset + _HEAD.size)
            groups = told[offset + _HEAD.size + _CORE.size : offset + size]
            yield kind, frozenset(_cpus(groups[: n_groups * _GROUP.size]))
        offset += size


def _cpus(groups: bytes) -> Iterator[int]:
    whole = len(groups) - len(groups) % _GROUP.size
    for mask, group in _GROUP.iter_unpack(groups[:whole]):
        yield from (group * _GROUP_CPUS + bit for bit in range(_GROUP_CPUS) if mask >> bit & 1)
