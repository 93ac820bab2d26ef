"""Helpers for tests of snapshots: a key, a valid snapshot, and a restored state."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from seallm_edge.engine.kv.snapshots import Snapshots

KEY = "0a1b-first"
TOKENS = [3, 1, 4, 151_645, 5]
STATE = random.Random(0).randbytes(120)
PLENTY = 1 << 30
HEAD_AND_HASH = 56 + 32
DAY = 24 * 3600


def size(n_tokens: int, n_state: int) -> int:
    """Bytes of a snapshot's file."""
    return HEAD_AND_HASH + 4 * n_tokens + n_state


def age(path: Path, days: float) -> None:
    """Let a file be last used so many days ago."""
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def loaded(snapshots: Snapshots, tokens: list[int]) -> tuple[list[int], bytes] | None:
    """What `find` and `load` give for these tokens."""
    found = snapshots.find(tokens)
    kept = snapshots.load(found) if found else None
    return (kept[0], bytes(kept[1])) if kept else None


def after_restart(folder: Path) -> tuple[list[int], bytes] | None:
    """What a process that begins now finds and loads of `TOKENS`."""
    return loaded(Snapshots(folder, KEY, PLENTY), TOKENS)
