"""Cores, limits and names, from /proc and /sys trees of real machines."""

import struct
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from seallm_edge.machine import Machine, linux, this_machine, windows
from seallm_edge.machine.describe import macos_cores, macos_simd
from seallm_edge.machine.linux import parse_cpu_list

GIB = 1 << 30


def plant(root: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def topology(cores: list[str], siblings: str = "core_cpus_list") -> dict[str, str]:
    """/sys's account of cores, each given by its CPU list."""
    cpus = {cpu: core for core in cores for cpu in parse_cpu_list(core)}
    files = {f"sys/devices/system/cpu/cpu{cpu}/topology/{siblings}": f"{core}\n" for cpu, core in cpus.items()}
    return {**files, "sys/devices/system/cpu/online": f"0-{max(cpus)}\n"}


def cores_of(root: Path, allowed: int | frozenset[int]) -> tuple[int, int, int]:
    """(performance, efficiency, usable)"""
    cpus = frozenset(range(allowed)) if isinstance(allowed, int) else allowed
    found = linux.read(root, cpus)
    return found.cores_performance, found.cores_efficiency, found.cores_usable


def usable_of(root: Path, allowed: frozenset[int]) -> tuple[int, int]:
    """(usable, performance cores among them)"""
    found = linux.read(root, allowed)
    return found.cores_usable, found.cores_usable_performance


def test_raspberry_pi_4_has_four_equal_cores(tmp_path: Path) -> None:
    info = (
        "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\n\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4\n"
    )
    capacities = {f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity": "1024\n" for cpu in range(4)}
    board = {"proc/cpuinfo": info, "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0"}
    root = plant(tmp_path, {**topology(["0", "1", "2", "3"]), **capacities, **board})

    assert cores_of(root, 4) == (4, 0, 4)
    assert linux.cpu_info(root) == ("Raspberry Pi 4 Model B Rev 1.4", ("asimd",))


def test_celeron_n4000_has_two_cores_and_no_avx(tmp_path: Path) -> None:
    info = (
        "model name\t: Intel(R) Celeron(R) N4000 CPU @ 1.10GHz\nflags\t\t: fpu sse4_1 sse4_2 movbe popcnt aes rdrand\n"
    )
    root = plant(tmp_path, {**topology(["0", "1"]), "proc/cpuinfo": info})

    assert cores_of(root, 2) == (2, 0, 2)
    assert linux.cpu_info(root) == ("Intel(R) Celeron(R) N4000 CPU @ 1.10GHz", ("sse4_2",))


def test_i5_1240p_has_four_performance_and_eight_efficiency_cores(tmp_path: Path) -> None:
    cores = ["0-1", "2-3", "4-5", "6-7", *(str(cpu) for cpu in range(8, 16))]
    hybrid = {"sys/devices/cpu_core/cpus": "0-7\n", "sys/devices/cpu_atom/cpus": "8-15\n"}
    root = plant(tmp_path, {**topology(cores), **hybrid})

    assert cores_of(root, 16) == (4, 8, 12)


@pytest.mark.parametrize(
    ("allowed", "usable"),
    [
        (range(16), (12, 4)),
        ((0, 1, 2, 3, *range(8, 16)), (10, 2)),  # two performance cores are left, and all others
        ((0, 8), (2, 1)),
        (range(8, 16), (8, 0)),
    ],
)
def test_affinity_leaves_so_many_performance_cores(
    tmp_path: Path, allowed: tuple[int, ...], usable: tuple[int, int]
) -> None:
    cores = ["0-1", "2-3", "4-5", "6-7", *(str(cpu) for cpu in range(8, 16))]
    hybrid = {"sys/devices/cpu_core/cpus": "0-7\n", "sys/devices/cpu_atom/cpus": "8-15\n"}
    assert usable_of(plant(tmp_path, {**topology(cores), **hybrid}), frozenset(allowed)) == usable


def test_low_power_cores_beside_the_two_kinds_are_not_performance_cores(tmp_path: Path) -> None:
    kinds = {"core": "0-3", "atom": "4-7", "lowpower": "8-9"}
    files = {f"sys/devices/cpu_{kind}/cpus": f"{cpus}\n" for kind, cpus in kinds.items()}
    root = plant(tmp_path, {**topology([str(cpu) for cpu in range(10)]), **files})

    assert cores_of(root, 10) == (4, 6, 10)


def capacities(values: list[int]) -> dict[str, str]:
    """Arm's account of how strong each core is."""
    return {f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity": f"{value}\n" for cpu, value in enumerate(values)}


@pytest.mark.parametrize(
    ("cores", "files", "found"),
    [
        # Cortex-A76; the kernel gives equal cores no capacities or 1,024 each
        pytest.param(["0", "1", "2", "3"], capacities([1024] * 4), (4, 0, 4), id="Raspberry Pi 5"),
        # efficiency cores alone: there is no list of another kind
        pytest.param(["0", "1", "2", "3"], {}, (4, 0, 4), id="Intel N100"),
        # 6 performance cores of two threads, 8 efficiency cores, 2 of low power, all of which are cpu_atom's
        pytest.param(
            [*(f"{cpu}-{cpu + 1}" for cpu in range(0, 12, 2)), *(str(cpu) for cpu in range(12, 22))],
            {"sys/devices/cpu_core/cpus": "0-11\n", "sys/devices/cpu_atom/cpus": "12-21\n"},
            (6, 10, 16),
            id="Core Ultra 7 155H",
        ),
        pytest.param([str(cpu) for cpu in range(12)], capacities([1024] * 12), (12, 0, 12), id="Snapdragon X Elite"),
        pytest.param(
            [str(cpu) for cpu in range(8)], capacities([480] * 4 + [1024] * 4), (4, 4, 8), id="Snapdragon 8cx"
        ),
    ],
)
def test_laptops_and_boards_have_so_many_cores_of_each_kind(
    tmp_path: Path, cores: list[str], files: dict[str, str], found: tuple[int, int, int]
) -> None:
    root = plant(tmp_path, {**topology(cores), **files})
    n_cpus = sum(len(parse_cpu_list(core)) for core in cores)
    assert cores_of(root, n_cpus) == found


def test_quota_caps_performance_cores_as_well(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}
    root = plant(tmp_path, {**topology(["0", "1", "2", "3"]), **files})

    assert usable_of(root, frozenset(range(4))) == (2, 2)


def test_smt_laptop_has_half_as_many_cores_as_cpus(tmp_path: Path) -> None:
    root = plant(tmp_path, topology(["0,4", "1,5", "2,6", "3,7"], siblings="thread_siblings_list"))

    assert cores_of(root, 8) == (4, 0, 4)


def test_affinity_to_both_threads_of_a_core_leaves_one_core(tmp_path: Path) -> None:
    root = plant(tmp_path, topology(["0,4", "1,5", "2,6", "3,7"]))

    assert cores_of(root, frozenset({1, 5})) == (4, 0, 1)


def test_phone_chip_counts_big_and_middle_cores_as_performance(tmp_path: Path) -> None:
    capacities = [250, 250, 250, 250, 870, 870, 870, 1024]
    files = {f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity": f"{c}\n" for cpu, c in enumerate(capacities)}
    root = plant(tmp_path, {**topology([str(cpu) for cpu in range(8)]), **files})

    assert cores_of(root, 8) == (4, 4, 8)


def test_offline_cpus_do_not_count(tmp_path: Path) -> None:
    root = plant(tmp_path, {**topology(["0", "1", "2", "3"]), "sys/devices/system/cpu/online": "0-1\n"})

    assert cores_of(root, 2) == (2, 0, 2)


def test_without_sys_every_cpu_that_may_be_used_is_a_core(tmp_path: Path) -> None:
    assert cores_of(tmp_path, 3) == (3, 0, 3)
    assert linux.read(tmp_path, frozenset({0})).memory_left is None


@pytest.mark.parametrize(
    ("quota", "usable"), [("200000 100000", 2), ("150000 100000", 1), ("50000 100000", 1), ("max 100000", 4)]
)
def test_cgroup_v2_quota_caps_the_cores(tmp_path: Path, quota: str, usable: int) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{quota}\n"}
    root = plant(tmp_path, {**topology(["0", "1", "2", "3"]), **files})

    assert cores_of(root, 4) == (4, 0, usable)


def test_cgroup_v2_memory_is_the_tightest_of_the_tree_and_cache_counts_as_free(tmp_path: Path) -> None:
    slice_, scope = "sys/fs/cgroup/a.slice", "sys/fs/cgroup/a.slice/b.scope"
    files = {
        "proc/self/cgroup": "0::/a.slice/b.scope\n",
        f"{slice_}/memory.max": f"{4 * GIB}\n",
        f"{slice_}/memory.current": f"{3 * GIB}\n",
        f"{slice_}/memory.stat": f"anon 5\nactive_file {GIB}\ninactive_file {GIB // 2}\n",
        f"{scope}/memory.max": "max\n",
        f"{scope}/memory.current": f"{GIB}\n",
    }

    assert linux.memory_limits(plant(tmp_path, files)) == (4 * GIB, 2 * GIB + GIB // 2)


def test_memory_high_of_cgroup_v2_is_a_limit_as_well(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": f"{4 * GIB}\n",
        "sys/fs/cgroup/memory.high": f"{3 * GIB}\n",
        "sys/fs/cgroup/memory.current": f"{GIB}\n",
    }
    assert linux.memory_limits(plant(tmp_path, files)) == (3 * GIB, 2 * GIB)


def test_cgroup_without_room_leaves_nothing(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": f"{GIB}\n",
        "sys/fs/cgroup/memory.current": f"{GIB + 4096}\n",
    }
    assert linux.memory_limits(plant(tmp_path, files)) == (GIB, 0)


def test_cgroup_v1_limits_are_read_at_the_root_of_a_container(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 * GIB}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
        "sys/fs/cgroup/memory/memory.stat": f"inactive_file 7\ntotal_inactive_file {GIB // 4}\ntotal_active_file 0\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "300000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }
    root = plant(tmp_path, files)

    assert linux.memory_limits(root) == (2 * GIB, GIB + GIB // 4)
    assert linux.cpu_quota(root) == 3


def test_cgroup_v1_without_limits_has_none(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "5:memory:/\n3:cpu,cpuacct:/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }
    root = plant(tmp_path, files)

    assert linux.memory_limits(root) == (None, None)
    assert linux.cpu_quota(root) is None


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0-3,8\n", {0, 1, 2, 3, 8}), ("5", {5}), ("", set()), ("\n", set()), ("x-y", set()), ("0,,2", {0, 2})],
)
def test_cpu_lists_are_parsed(text: str, cpus: set[int]) -> None:
    assert parse_cpu_list(text) == cpus


def test_apple_silicon_has_two_kinds_of_cores() -> None:
    answers = {
        "hw.nperflevels": "2",
        "hw.perflevel0.physicalcpu": "4",
        "hw.perflevel1.physicalcpu": "6",
        "hw.optional.arm.FEAT_I8MM": "1",
        "hw.optional.AdvSIMD": "1",
    }

    def sysctl(name: str) -> str:
        return answers.get(name, "")

    assert macos_cores(sysctl, 10) == (4, 6)
    assert macos_simd(sysctl) == ("AdvSIMD", "FEAT_I8MM")


def test_intel_mac_has_one_kind_of_cores() -> None:
    answers = {"machdep.cpu.features": "SSE4.2 FMA", "machdep.cpu.leaf7_features": "AVX2 BMI2"}

    def sysctl(name: str) -> str:
        return answers.get(name, "")

    assert macos_cores(sysctl, 6) == (6, 0)
    assert macos_simd(sysctl) == ("avx2", "bmi2", "fma", "sse4_2")


def windows_core(kind: int, *groups: tuple[int, int]) -> bytes:
    """A core of this efficiency class, as Windows tells it: (mask, group) of its CPUs."""
    body = struct.pack("<BB20xH", 0, kind, len(groups)) + b"".join(struct.pack("<QH6x", *group) for group in groups)
    return struct.pack("<II", 0, 8 + len(body)) + body


def test_windows_has_performance_cores_of_the_fastest_class_only() -> None:
    told = windows_core(2, (0b11, 0)) + windows_core(2, (0b1100, 0))
    told += b"".join(windows_core(1, (1 << cpu, 0)) for cpu in range(4, 8)) + windows_core(0, (1 << 8, 0))

    assert windows.cores(told) == (2, 5, 7, 2)
    assert windows.cores(told, frozenset({2, 5, 8})) == (2, 5, 3, 1)
    assert windows.cores(told, frozenset({5, 6})) == (2, 5, 2, 0)


def test_windows_numbers_cpus_of_groups_through_and_passes_other_facts_over() -> None:
    other = struct.pack("<II", 2, 24) + bytes(16)
    told = windows_core(0, (1, 0)) + other + windows_core(0, (1 << 63, 1), (1, 0))

    assert windows.cores(told, frozenset({127})) == (2, 0, 1, 1)


@pytest.mark.parametrize("told", [b"", b"\0" * 8, b"\0" * 64, windows_core(1, (1, 0))[:20]])
def test_what_windows_does_not_tell_leaves_one_core_to_use(told: bytes) -> None:
    assert windows.cores(told).usable == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells")
def test_other_systems_tell_nothing_of_windows_cores() -> None:
    assert windows.core_relations() == b""


@pytest.mark.parametrize(
    ("usable", "performance", "threads"),
    [(12, 4, 4), (2, 2, 2), (4, 0, 4), (1, 1, 1), (0, 0, 1)],
)
def test_threads_are_the_performance_cores_that_may_be_used_else_the_others(
    usable: int, performance: int, threads: int
) -> None:
    machine = Machine("", "", 4, 8, usable, performance, (), 0, 0, "")
    assert machine.threads == threads


def test_this_machine_makes_sense() -> None:
    machine = this_machine()

    assert machine.threads >= 1
    assert machine.cores_performance + machine.cores_efficiency >= 1
    assert 0 < machine.memory_available <= machine.memory_total
    assert machine.cpu_name
    assert machine.os
