"""KV states of conversations on disk, so that a model that was closed need not read them again.

`snapshot_file` is the format of one, `snapshot_folder` what all models share, `snapshot_queue` the thread that writes.
A snapshot is a cache: whatever is wrong with one, it is removed and its conversation is read again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import snapshot_file
from .prefix import begins_with, common_prefix
from .snapshot_file import NotASnapshot, State, Tokens, as_bytes, as_tokens
from .snapshot_folder import SnapshotFolder, default_budget, remove, touch
from .snapshot_queue import SnapshotQueue

logger = logging.getLogger("seallm_edge.engine")

_KEY_DIGITS = 16


@dataclass(frozen=True)
class Found:
    """A snapshot of `n_tokens` tokens, the first `n_shared` of which are those asked for; `n_bytes` its file's size."""

    path: Path
    n_shared: int
    n_tokens: int
    n_bytes: int


@dataclass(frozen=True)
class _Known:
    tokens: Tokens
    n_bytes: int


def snapshot_key(
    model_fingerprint: str,
    *,
    kv_types: tuple[str, str],
    build: str,
    flash_attention: bool,
    settings: Sequence[object] = (),
) -> str:
    """The key of states that a context can take back.

    `kv_types` are those of K and V, `build` is llama.cpp's, `settings` whatever else makes its numbers other ones:
    RoPE scaling, say, or the batch and the CPU variant, if replies shall be the same to the last bit.
    """
    facts = [snapshot_file.FORMAT, sys.byteorder, kv_types, build, flash_attention, [str(item) for item in settings]]
    return f"{model_fingerprint}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:_KEY_DIGITS]}"


class Snapshots:
    """The snapshots of one model in `folder`, which need not exist; any thread may call any method.

    `key` is what `snapshot_key` gives. `budget` is in bytes, for all models together; 0 writes nothing, None is
    `default_budget`. Trouble with the disk is logged, never raised. Several processes may share the folder: each holds
    the budget when it saves, so together they may exceed it by what the others are writing.
    """

    def __init__(self, folder: Path, key: str, budget: int | None = None) -> None:
        self.budget = default_budget(folder) if budget is None else budget
        self._folder = SnapshotFolder(folder, key)
        self._key = hashlib.sha256(key.encode()).digest()
        self._index: dict[str, _Known] = {}
        self._index_lock = threading.Lock()
        self._save_lock = threading.Lock()
        self._queue = SnapshotQueue(self.save)

    def find(self, tokens: Sequence[int] | Tokens, more_than: int = 0, n_ctx: int | None = None) -> Found | None:
        """The snapshot that shares most tokens from the first on, if more than `more_than`; of equals the smallest.

        With `n_ctx`, only those of so many tokens at most. Reads the heads of files that were not seen before.
        """
        wanted = as_tokens(tokens)
        best: Found | None = None
        for name, known in self._known().items():
            if n_ctx is not None and len(known.tokens) > n_ctx:
                continue
            shared = common_prefix(known.tokens.data, wanted.data)
            if shared > more_than and (best is None or (shared, -known.n_bytes) > (best.n_shared, -best.n_bytes)):
                best = Found(self._folder.path / name, shared, len(known.tokens), known.n_bytes)
        return best

    def load(self, found: Found) -> tuple[list[int], memoryview] | None:
        """(tokens, state) as they were saved; the state is writable memory of its own.

        None if it is gone, or was damaged: then it is removed, and `find` may know another.
        """
        try:
            tokens, state = snapshot_file.read(found.path, self._key)
        except NotASnapshot as problem:
            _refuse(found.path, problem)
            return None
        except (OSError, MemoryError) as error:
            logger.info("snapshot %s cannot be read: %s", found.path.name, error)
            return None
        touch(found.path)
        return tokens.tolist(), state

    def save(self, tokens: Sequence[int] | Tokens, state: State) -> bool:
        """Whether a snapshot that begins with `tokens` is on disk now: this state, or one that was there already.

        Removes snapshots that these tokens go on from, and those used longest ago, of whatever model, until all fit
        in the budget. Waits for a save that is under way.
        """
        wanted, raw = as_tokens(tokens), as_bytes(state)
        size = snapshot_file.file_bytes(len(wanted), len(raw))
        if not 0 < size <= self.budget:
            return False
        with self._save_lock:
            try:
                return self._touch_longer(wanted) or self._write(wanted, raw, size)
            except OSError as error:
                logger.warning("a snapshot of %d tokens is not kept in %s: %s", len(wanted), self._folder.path, error)
                return False

    def save_later(self, tokens: Sequence[int], state: State) -> bool:
        """`save` on a thread of its own, without a wait; whether that will be tried. `state` must not change after.

        One state can wait while another is written: if it is the same conversation's, this takes its place; if not,
        this is dropped. Also False after `close`.
        """
        return self.budget > 0 and self._queue.put(as_tokens(tokens), state)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait for what `save_later` took, `timeout` seconds at most; whether it is done."""
        return self._queue.flush(timeout)

    def close(self) -> None:
        """Wait for what `save_later` took, and let it take no more. Safe twice."""
        self._queue.close()

    def _touch_longer(self, tokens: Tokens) -> bool:
        """Whether a snapshot that begins with `tokens` is there: it counts as used now."""
        found = self.find(tokens, more_than=len(tokens) - 1)
        if found:
            touch(found.path)
        return found is not None

    def _write(self, tokens: Tokens, state: memoryview, size: int) -> bool:
        folder = self._folder
        superseded = [name for name, known in self._known().items() if begins_with(tokens.data, known.tokens.data)]
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not folder.make_room(size, self.budget, superseded):
            return False
        path = folder.path / folder.name_of(snapshot_file.encoded(tokens))
        snapshot_file.write(path, self._key, tokens, state)
        touch(path)
        for name in superseded:
            remove(folder.path / name)
        return True

    def _known(self) -> dict[str, _Known]:
        """The tokens of every snapshot of this key that is in the folder now, by file name."""
        with self._index_lock:
            try:
                names = self._folder.own_names()
            except OSError:
                names = []
            looked_up = {name: self._index.get(name) or self._look_at(name) for name in names}
            self._index = {name: known for name, known in looked_up.items() if known}
            return self._index

    def _look_at(self, name: str) -> _Known | None:
        path = self._folder.path / name
        try:
            tokens, n_bytes = snapshot_file.read_tokens(path, self._key)
            if self._folder.name_of(snapshot_file.encoded(tokens)) != name:
                raise NotASnapshot("holds other tokens than its name says")
        except NotASnapshot as problem:
            _refuse(path, problem)
            return None
        except OSError as error:
            logger.info("snapshot %s cannot be read: %s", name, error)
            return None
        return _Known(tokens, n_bytes)


def _refuse(path: Path, problem: NotASnapshot) -> None:
    logger.info("snapshot %s is removed: it %s", path.name, problem)
    remove(path)
