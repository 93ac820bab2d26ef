"""Memory bandwidth: what is read, and how much."""

from pathlib import Path

import numpy as np
import pytest

from seallm_edge.machine.bandwidth import BandwidthMeter, array_bytes


@pytest.mark.parametrize("threads", [1, 3])
def test_all_of_the_array_is_read_in_each_pass(threads: int) -> None:
    clock = iter([0.0, 0.5, 1.0, 2.0])
    with BandwidthMeter(threads, 12_000_000, lambda: next(clock)) as meter:
        assert len(meter._parts) == threads
        assert sum(part.nbytes for part in meter._parts) == 12_000_000
        assert meter.measure(1.0) == 2 * 12_000_000 / 2.0  # two passes until the clock says 1.0
    assert meter._parts == []


def test_with_no_time_it_is_read_once() -> None:
    with BandwidthMeter(2, 1_000_000) as meter:
        assert meter.measure(0.0) > 0


def test_the_array_has_pages_of_its_own() -> None:
    with BandwidthMeter(1, 4_096) as meter:
        assert np.all(meter._parts[0] == 1)


@pytest.mark.parametrize(
    ("sizes", "available", "found"),
    [
        (("32K", "1024K", "300M"), 16_000_000_000, 600 << 20),  # a server's
        (("32K", "4M"), 16_000_000_000, 256_000_000),
        ((), 16_000_000_000, 256_000_000),
        (("300M",), 1_000_000_000, 250_000_000),
        (("strange",), 16_000_000_000, 256_000_000),
    ],
)
def test_it_is_far_larger_than_the_caches_and_leaves_memory_free(
    tmp_path: Path, sizes: tuple[str, ...], available: int, found: int
) -> None:
    for n, size in enumerate(sizes):
        folder = tmp_path / f"sys/devices/system/cpu/cpu0/cache/index{n}"
        folder.mkdir(parents=True)
        (folder / "size").write_text(f"{size}\n", encoding="utf-8")
    assert array_bytes(available, tmp_path) == found
