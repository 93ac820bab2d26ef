"""The folder that the snapshots of all models share: names, ages, and the room they may take.

A file is named MODEL-KEY-TOKENS.kv, each a hash. The key is of the model and of all else that a state depends on, so
other models' files are told by their names and never opened, and what of the same model was written with another
llama.cpp or KV type is known to be stale. What is used is touched; what was used longest ago, of whatever model, makes
room. Besides, a stale file goes when nobody has used it for a day (two programs with different settings may take
turns), any other after 30 days (its model may be gone), and what a killed writer left after ten minutes.

Knows names, not what is in the files.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...files.atomic import SCRATCH_SUFFIX

logger = logging.getLogger("seallm_edge.engine")

MAX_BUDGET_BYTES = 1 << 30
BUDGET_DISK_SHARE = 50  # one part in so many of the free disk

_MINUTE_NS = 60 * 10**9
_DAY_NS = 24 * 60 * _MINUTE_NS
_UNUSED_NS = 30 * _DAY_NS
_STALE_NS = _DAY_NS
_ABANDONED_NS = 10 * _MINUTE_NS  # since the last byte came: a writer that lives is never silent for so long
_NAME = re.compile(r"([0-9a-f]{16}-[0-9a-f]{16})-[0-9a-f]{32}\.kv(\.\w+\.partial)?")


@dataclass(frozen=True)
class Entry:
    """One file of the folder, whoever's it is: when it was used last, and its size in bytes."""

    path: Path
    used_ns: int
    n_bytes: int

    @property
    def is_partial(self) -> bool:
        """Whether it is being written, or was when its writer died."""
        return self.path.name.endswith(SCRATCH_SUFFIX)


class SnapshotFolder:
    """The folder at `path`, which need not exist, as the owner of `key` sees it: a model before the key's first "-"."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self._model = _hash(key.partition("-")[0].encode(), 16)
        self._owner = f"{self._model}-{_hash(key.encode(), 16)}"

    def name_of(self, tokens: bytes) -> str:
        """The name of the snapshot of these tokens."""
        return f"{self._owner}-{_hash(tokens, 32)}.kv"

    def own_names(self) -> list[str]:
        """The snapshots of this key that are there now. Raises OSError."""
        with os.scandir(self.path) as listed:
            ours = [item.name for item in listed if item.name.startswith(self._owner)]
        return [name for name in ours if _NAME.fullmatch(name) and not name.endswith(SCRATCH_SUFFIX)]

    def entries(self) -> Iterator[Entry]:
        """Every snapshot of any model, whole or partial. Raises OSError."""
        with os.scandir(self.path) as listed:
            for item in listed:
                if _NAME.fullmatch(item.name):
                    with contextlib.suppress(FileNotFoundError):
                        status = item.stat(follow_symlinks=False)
                        yield Entry(Path(item.path), status.st_mtime_ns, status.st_size)

    def make_room(self, n_bytes: int, budget: int, going: Collection[str]) -> bool:
        """Remove what is too old, and then what was used longest ago, until `n_bytes` more are within `budget`.

        Names in `going` are removed by the caller, later, and count as gone. False if no room can be made: then
        nothing but old files was removed. Raises OSError.
        """
        now = time.time_ns()
        staying = []
        for entry in sorted(self.entries(), key=lambda entry: entry.used_ns):
            if now - entry.used_ns > self._lifetime_ns(entry):
                remove(entry.path)
            elif not entry.is_partial and entry.path.name not in going:
                staying.append(entry)
        excess = n_bytes + sum(entry.n_bytes for entry in staying) - budget
        for entry in staying:
            if excess <= 0:
                break
            if remove(entry.path):
                excess -= entry.n_bytes
        return excess <= 0

    def _lifetime_ns(self, entry: Entry) -> int:
        """How long it may stay unused."""
        if entry.is_partial:
            return _ABANDONED_NS
        is_stale = entry.path.name.startswith(self._model) and not entry.path.name.startswith(self._owner)
        return _STALE_NS if is_stale else _UNUSED_NS


def default_budget(folder: Path) -> int:
    """Bytes that snapshots in `folder` may take: 1 GiB, or 2% of the disk's free space if that is less."""
    try:
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        return min(MAX_BUDGET_BYTES, shutil.disk_usage(existing).free // BUDGET_DISK_SHARE)
    except OSError as error:
        logger.warning("no snapshots are kept in %s: %s", folder, error)
        return 0


def remove(path: Path) -> bool:
    """Remove a file, a link or an empty folder; whether it is gone."""
    with contextlib.suppress(OSError):
        is_folder = path.is_dir() and not path.is_symlink()
        path.rmdir() if is_folder else path.unlink(missing_ok=True)
        return True
    return False


def touch(path: Path) -> None:
    """Note that it was used now: finer than the system's own clock for files, which stands still for milliseconds."""
    now = time.time_ns()
    with contextlib.suppress(OSError):
        os.utime(path, ns=(now, now))


def _hash(data: bytes, n_digits: int) -> str:
    return hashlib.sha256(data).hexdigest()[:n_digits]
