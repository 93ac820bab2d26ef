"""Hardware on Linux: CPU, SIMD and this process's limits, from /proc and /sys below any root folder.

Missing files (a container often hides some) leave their values empty; nothing is estimated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CPUS = "sys/devices/system/cpu"
CGROUP = "sys/fs/cgroup"
# Flags that ggml has code for. ref: ggml/src/ggml-cpu/arch, CMakeLists.txt of ggml-cpu
_SIMD = (
    "sse4_2 avx f16c fma bmi2 avx2 avx_vnni avx512f avx512bw avx512vl avx512dq avx512vbmi avx512_vnni avx512_bf16"
    " amx_tile amx_int8 asimd asimdhp asimddp i8mm bf16 sve sve2 sme vx vxe"
)
SIMD_FLAGS = frozenset(_SIMD.split())
# Cores below this capacity, relative to the strongest, make the others wait. Middle cores of phone chips have 0.7 and
# more, little ones 0.2 to 0.5.
_STRONG = 0.6
_NO_LIMIT_V1 = 1 << 60  # cgroup v1 writes a number near 2**63 for "no limit"


@dataclass(frozen=True)
class Hardware:
    """Hardware facts for `Machine`; `memory_limit` and `memory_left` (bytes) are the cgroup's, None without a limit."""

    cpu_name: str
    simd: tuple[str, ...]
    cores_performance: int
    cores_efficiency: int
    cores_usable: int
    cores_usable_performance: int
    memory_limit: int | None = None
    memory_left: int | None = None


def read(root: Path, allowed: frozenset[int]) -> Hardware:
    """Read the hardware from /proc and /sys below `root`, for a process that may run on the CPUs `allowed`."""
    online = parse_cpu_list(_text(root / CPUS / "online")) or allowed
    cores = {_siblings(root, cpu) & online for cpu in online}
    weak = _weak_cpus(root, online)
    strong_cores = {core for core in cores if not core <= weak}
    n_allowed = sum(1 for core in cores if core & allowed) or len(allowed)
    n_time = int(cpu_quota(root) or n_allowed)  # rounded down: a fraction of a core makes all others wait
    limit, left = memory_limits(root)
    name, simd = cpu_info(root)
    return Hardware(
        cpu_name=name,
        simd=simd,
        cores_performance=len(strong_cores),
        cores_efficiency=len(cores) - len(strong_cores),
        cores_usable=max(1, min(n_allowed, n_time)),
        cores_usable_performance=min(sum(1 for core in strong_cores if core & allowed), max(1, n_time)),
        memory_limit=limit,
        memory_left=left,
    )


def parse_cpu_list(text: str) -> frozenset[int]:
    """CPU numbers of a list such as "0-3,8"; invalid parts are ignored."""
    cpus: set[int] = set()
    for part in text.strip().split(","):
        if found := re.fullmatch(r"(\d+)(?:-(\d+))?", part):
            cpus.update(range(int(found[1]), int(found[2] or found[1]) + 1))
    return frozenset(cpus)


def cpu_info(root: Path) -> tuple[str, tuple[str, ...]]:
    """(CPU name, its flags among `SIMD_FLAGS`) from /proc/cpuinfo; the board's name where the CPU has none."""
    lines = (line.partition(":") for line in _text(root / "proc/cpuinfo").splitlines())
    values = {key.strip(): value.strip() for key, _, value in lines}
    board = _text(root / "proc/device-tree/model").strip("\0\n ")
    flags = (values.get("flags") or values.get("Features") or "").split()
    name = values.get("model name") or board or values.get("Model") or values.get("Hardware") or ""
    return name, tuple(sorted(SIMD_FLAGS.intersection(flags)))


def cpu_quota(root: Path) -> float | None:
    """CPU quota of the tightest cgroup, in CPUs; None without a quota."""
    quotas = []
    for folder in _cgroup_folders(root, "cpu"):
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        if not quota:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        if _is_number(quota) and _is_number(period):
            quotas.append(int(quota) / max(int(period), 1))
    return min(quotas, default=None)


def memory_limits(root: Path) -> tuple[int | None, int | None]:
    """(memory limit of the tightest cgroup, bytes left below it); None without a limit.

    `memory.high` counts as a limit too: above it the kernel throttles a process until it is useless.
    """
    limits, left = [], []
    for folder in _cgroup_folders(root, "memory"):
        texts = [_text(folder / name) for name in ("memory.max", "memory.high", "memory.limit_in_bytes")]
        allowed = [int(text) for text in texts if _is_number(text) and int(text) < _NO_LIMIT_V1]
        used = _text(folder / "memory.current") or _text(folder / "memory.usage_in_bytes")
        if allowed and _is_number(used):
            limits.append(min(allowed))
            left.append(max(0, min(allowed) - int(used) + _reclaimable(folder)))
    return min(limits, default=None), min(left, default=None)


def _weak_cpus(root: Path, online: Iterable[int]) -> frozenset[int]:
    """CPUs of efficiency cores: by the list of Intel's hybrid chips, else by Arm's capacities."""
    if strong := parse_cpu_list(_text(root / "sys/devices/cpu_core/cpus")):
        return frozenset(online) - strong
    texts = {cpu: _text(root / CPUS / f"cpu{cpu}/cpu_capacity") for cpu in online}
    capacities = {cpu: int(text) for cpu, text in texts.items() if _is_number(text)}
    strongest = max(capacities.values(), default=0)
    return frozenset(cpu for cpu, capacity in capacities.items() if capacity < _STRONG * strongest)


def _siblings(root: Path, cpu: int) -> frozenset[int]:
    """Hardware threads of this CPU's core, including itself."""
    topology = root / CPUS / f"cpu{cpu}/topology"
    names = ("core_cpus_list", "thread_siblings_list")
    return next((cpus for name in names if (cpus := parse_cpu_list(_text(topology / name)))), frozenset({cpu}))


def _cgroup_folders(root: Path, controller: str) -> Iterator[Path]:
    """Folders of this process's cgroup and its parents, in cgroup version 2, else for `controller` in version 1."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if controllers and controller not in controllers.split(","):
            continue
        base = root / CGROUP / controllers if controllers else root / CGROUP
        parts = [part for part in path.split("/") if part not in ("", "..")]
        # inside a container the path is the host's, and only the base folder exists
        yield from (base.joinpath(*parts[:n]) for n in range(len(parts), -1, -1))


def _reclaimable(folder: Path) -> int:
    """Bytes of page cache that the kernel reclaims on demand."""
    values = dict(re.findall(r"^(\w+) (\d+)$", _text(folder / "memory.stat"), re.MULTILINE))
    prefix = "total_" if "total_inactive_file" in values else ""
    return sum(int(values.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))


def _is_number(text: str) -> bool:
    return text.strip().isdecimal()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
