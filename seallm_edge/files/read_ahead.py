"""Reading ahead: the kernel reads a file into its cache while the program still prepares. Linux alone."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from ..machine import this_machine

_STEP = 128 << 10  # bytes; of a longer range, the kernel may take the beginning only. ref: linux, mm/readahead.c


def read_ahead(path: Path) -> None:
    """Have a file read into the kernel's cache, if the free memory holds it. Returns at once, and raises nothing."""
    if hasattr(os, "posix_fadvise"):  # the call takes as long as the disk takes requests: not in this thread
        threading.Thread(target=_ask, args=(path,), name="read-ahead", daemon=True).start()


def _ask(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= this_machine().memory_available:
            for start in range(0, size, _STEP):
                os.posix_fadvise(file.fileno(), start, _STEP, os.POSIX_FADV_WILLNEED)
