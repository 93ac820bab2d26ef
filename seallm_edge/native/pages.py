"""Pages of mapped files: released to the kernel, or prefaulted. Linux alone; elsewhere nothing happens.

Pages given back stay in the kernel's file cache and come from there when they are read: contents never change.
Knows no models.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

Range = tuple[int, int]  # addresses: the first, and the one after the last

_READ_ONLY_SHARED = "r--s"
# ref: linux, mman-common.h
_DONTNEED, _NOHUGEPAGE, _POPULATE_READ = 4, 15, 22
_HUGE = 1 << 21  # reading weights through huge pages is some 5% faster


def release(paths: Iterable[Path]) -> None:
    """Drop the pages of these files from this process's memory, where they are mapped read-only and shared
    (MADV_DONTNEED).
    """
    for whole in mapped(paths):
        _advise(whole, _DONTNEED)


def release_freed() -> None:
    """Return freed heap memory to the system (malloc_trim): some 25 MB after a model of 100 MB."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):  # glibc has it
        trim(0)


def populate(whole: Range) -> None:
    """Prefault the mapping (MADV_POPULATE_READ)."""
    _advise(whole, _POPULATE_READ)  # a kernel before 5.14 refuses: they come when they are read


def populate_only(whole: Range, parts: Iterable[Range]) -> None:
    """Prefault the pages of `parts` of a mapping, and drop its other pages."""
    parts = sorted(_pages(part, outward=True) for part in parts)
    blocks = [_pages(part, _HUGE) for part in parts]
    for edge in gaps(whole, [block for block in blocks if block[0] < block[1]]):
        _advise(edge, _NOHUGEPAGE)  # a huge page cannot be given back in part
    _advise(whole, _DONTNEED)
    for part in parts:
        populate(part)
    for gap in gaps(whole, parts):
        _advise(gap, _DONTNEED)  # the kernel has mapped whole blocks of its cache, of up to 2 MB


def mapped(paths: Iterable[Path]) -> list[Range]:
    """Address ranges where these files are mapped read-only and shared; empty where that cannot be told."""
    if sys.platform not in ("linux", "android"):
        return []
    named = frozenset(os.path.realpath(path) for path in paths)
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return []
    return list(mappings(maps, named))


def mappings(maps: str, named: Iterable[str]) -> Iterator[Range]:
    """Read-only shared mappings of the files `named`, parsed from the text of /proc/PID/maps."""
    wanted = {name.replace("\n", "\\012") for name in named}  # ref: linux, fs/seq_file.c, mangle_path
    for line in maps.split("\n"):
        addresses, permissions, _, _, _, name = (line.split(" ", 5) + [""] * 6)[:6]
        if permissions == _READ_ONLY_SHARED and name.lstrip(" ") in wanted:
            start, _, end = addresses.partition("-")
            yield int(start, 16), int(end, 16)


def gaps(whole: Range, parts: Iterable[Range]) -> Iterator[Range]:
    """What of `whole` is in none of `parts`, which lie in it in order."""
    at, end = whole
    for start, stop in parts:
        if at < start:
            yield at, start
        at = max(at, stop)
    if at < end:
        yield at, end


def _pages(one: Range, size: int = mmap.PAGESIZE, *, outward: bool = False) -> Range:
    """The whole pages of `size` bytes in a range, or, `outward`, those that it touches."""
    start, end = one
    if outward:
        return start // size * size, -(-end // size) * size
    return -(-start // size) * size, end // size * size


def _advise(one: Range, advice: int) -> None:
    _madvise()(one[0], one[1] - one[0], advice)  # what the kernel refuses (locked pages) stays as it is


@cache
def _madvise() -> Any:
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return madvise
