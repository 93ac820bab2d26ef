"""Size of the terminal, asked of the terminal itself: exported LINES and COLUMNS may be those of another one."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys


def terminal_size() -> os.terminal_size:
    """(columns, lines) of the terminal on stdout; by `shutil.get_terminal_size` where stdout is none."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        size = os.get_terminal_size(sys.stdout.fileno())
        if size.columns and size.lines:
            return size
    return shutil.get_terminal_size()
