"""Reading ahead: the kernel reads a file into its cache while the program still prepares. Linux alone."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from ..machine import this_machine


def read_ahead(path: Path) -> None:
    """Have a file read into the kernel's cache, if the free memory holds it. Returns at once, and raises nothing."""
    if hasattr(os, "posix_fadvise"):  # the call takes as long as the disk takes requests: not in this thread
        threading.Thread(target=_ask, args=(path,), name="read-ahead", daemon=True).start()


def _ask(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= this_machine().memory_available:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
