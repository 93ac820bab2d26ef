"""Workers of a parallel test run (`-n auto`), each on processors of its own: ggml's threads spin while they wait for
one another, and a thread that waits for a processor holds the others up.
"""

from __future__ import annotations

import os

import psutil
import pytest

MEMORY = 2 << 30  # bytes for a worker: the demo model twice, and checkpoints


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two processors make two workers; beyond four, more of them bring little."""
    return max(1, min(4, len(processors()), psutil.virtual_memory().available // MEMORY))


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Take this worker's share of the processors, where the system can bind a process to some."""
    name = os.environ.get("PYTEST_XDIST_WORKER", "")
    if name and hasattr(os, "sched_setaffinity"):
        number, n_workers = int(name.removeprefix("gw")), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        if own := processors()[number::n_workers]:
            os.sched_setaffinity(0, own)


def processors() -> list[int]:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
