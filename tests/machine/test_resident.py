"""Memory of this process: its peak, and pages that came from the disk."""

import sys

import numpy as np
import psutil
import pytest

from seallm_edge.machine.resident import page_faults, peak_bytes


def test_the_peak_stays_after_memory_is_freed() -> None:
    before = psutil.Process().memory_info().rss
    np.ones(200_000_000, np.uint8)
    assert peak_bytes() >= before + 150_000_000


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not count them apart")
def test_page_faults_are_counted_and_never_fall() -> None:
    before = page_faults()
    assert before is not None
    assert (page_faults() or 0) >= before >= 0
