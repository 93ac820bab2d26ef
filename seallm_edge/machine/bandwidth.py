"""Memory bandwidth, measured: threads that read an array far larger than the caches. Needs no llama.cpp."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

_CACHE_SIZES = "sys/devices/system/cpu/cpu0/cache"
_USUAL_CACHE_BYTES = 128_000_000  # where the system does not tell it; larger than any laptop's
_MIN_BYTES = 256_000_000
_MEMORY_SHARE = 4  # the array takes at most one part of so many of the free memory


class BandwidthMeter:
    """Meter of the bandwidth at which `threads` threads read main memory, each its part of one array of
    `n_bytes` bytes. Leaving the context frees it.
    """

    def __init__(self, threads: int, n_bytes: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        # Written to, or all its pages would be the one page of zeros. Float, because every CPU has vector code for it.
        self._parts: list[NDArray[np.float32]] = np.array_split(np.ones(n_bytes // 4, np.float32), threads)

    def measure(self, seconds: float) -> float:
        """Bytes per second, of as many whole passes as `seconds` suffice for; at least one."""
        started = self._clock()
        n_passes = 0
        while n_passes == 0 or self._clock() - started < seconds:
            self._read_once()
            n_passes += 1
        n_bytes = sum(part.nbytes for part in self._parts) * n_passes
        return n_bytes / (self._clock() - started)

    def close(self) -> None:
        """Free the array."""
        self._parts = []

    def __enter__(self) -> BandwidthMeter:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def _read_once(self) -> None:
        threads = [threading.Thread(target=part.max, daemon=True) for part in self._parts]  # numpy frees the GIL
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def array_bytes(memory_available: int, root: Path = Path("/")) -> int:
    """Bytes of an array for a `BandwidthMeter`: twice the last cache, of the free memory at most a quarter."""
    caches = [_cache_bytes(path) for path in sorted((root / _CACHE_SIZES).glob("index*/size"))]
    wanted = max(2 * (max(caches, default=0) or _USUAL_CACHE_BYTES), _MIN_BYTES)
    return max(min(wanted, memory_available // _MEMORY_SHARE), 1_000_000)


def _cache_bytes(path: Path) -> int:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return 0
    found = re.fullmatch(r"(\d+)([KMG]?)\s*", text)
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]] if found else 0
