"""Copies in a process of their own that is killed at a moment of its progress."""

from __future__ import annotations

import signal
import subprocess
import sys

_PROGRAM = """
import os, signal
from seallm_edge.store.carrying import copying
from seallm_edge.store.carrying.exporting import export
from seallm_edge.store.carrying.importing import import_model
copying._BLOCK = {block_bytes}
calls = 0
def progress(doing, done, total):
    global calls
    calls += 1
    if calls == {moment}:
        os.kill(os.getpid(), signal.SIGKILL)
{call}
"""


def is_killed(call: str, moment: int, block_bytes: int) -> bool:
    """Whether `call`, Python that passes `progress` on, was killed at that call of it; else it ended before."""
    program = _PROGRAM.format(call=call, moment=moment, block_bytes=block_bytes)
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0
