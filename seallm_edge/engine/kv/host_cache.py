"""`HostKVCache`: KV states of evicted sequences, in host memory within a budget, and on disk where asked for.

Knows bytes and tokens, not how they are made. Owned by the worker's thread; outlives an unloaded context.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...native.context import State
from .prefix import common_prefix
from .slots import UNKNOWN
from .snapshots import Snapshots

# Below this many tokens a state is not worth its bytes: reading them anew is as quick.
MIN_TOKENS = 64


class CachedState(NamedTuple):
    """Cached KV state of `n_tokens` tokens; `load` returns (tokens, state), or None if it is gone.

    For `n_block_aligned` see `Slot`; it is not recorded on disk.
    """

    n_tokens: int
    n_block_aligned: int
    is_on_disk: bool
    load: Callable[[], tuple[list[int], State] | None]


@dataclass(frozen=True)
class _Entry:
    tokens: list[int]
    state: State
    n_bytes: int
    n_block_aligned: int


class HostKVCache:
    """Cache of at most `budget` bytes in memory, evicting least recently used states; 0 caches none."""

    def __init__(self, budget: int, snapshots: Snapshots | None = None) -> None:
        self.budget = budget
        self.snapshots = snapshots
        self._entries: list[_Entry] = []  # the longest unused first

    @property
    def n_bytes(self) -> int:
        """Bytes cached in memory."""
        return sum(entry.n_bytes for entry in self._entries)

    def wants(self, tokens: Sequence[int], n_bytes: int) -> bool:
        """Whether a state of `n_bytes` would be cached in memory."""
        return len(tokens) >= MIN_TOKENS and n_bytes <= self.budget and not self._covers(tokens)

    def put(self, tokens: Sequence[int], state: State, n_block_aligned: int = 0) -> None:
        """Cache a state in memory, evicting states that it extends, then the least recently used."""
        n_bytes = memoryview(state).nbytes
        if not self.wants(tokens, n_bytes):
            return
        self._entries = [entry for entry in self._entries if common_prefix(entry.tokens, tokens) < len(entry.tokens)]
        while self._entries and self.n_bytes + n_bytes > self.budget:
            self._entries.pop(0)
        self._entries.append(_Entry(list(tokens), state, n_bytes, n_block_aligned))

    def clear(self) -> None:
        """Drop all states in memory."""
        self._entries.clear()

    @property
    def is_open(self) -> bool:
        """Whether anything is cached for later prompts at all."""
        return self.budget > 0 or self.snapshots is not None

    def best(self, tokens: Sequence[int], more_than: int, n_ctx: int) -> CachedState | None:
        """The state of at most `n_ctx` tokens that shares the longest prefix with `tokens`, if longer
        than `more_than`.
        """
        shared, entry = max(
            ((common_prefix(entry.tokens, tokens), entry) for entry in self._entries if len(entry.tokens) <= n_ctx),
            key=lambda pair: pair[0],
            default=(0, None),
        )
        if snapshots := self.snapshots:
            found = snapshots.find(tokens, max(shared, more_than), n_ctx)
            if found:
                return CachedState(found.n_tokens, UNKNOWN, True, lambda: snapshots.load(found))
        if entry is None or shared <= more_than:
            return None
        return CachedState(len(entry.tokens), entry.n_block_aligned, False, lambda: self._take(entry))

    def _take(self, entry: _Entry) -> tuple[list[int], State]:
        # it goes back into cells, and comes back here if it has to leave them; making room for it may have put it out
        self._entries = [other for other in self._entries if other is not entry]
        return entry.tokens, entry.state

    def _covers(self, tokens: Sequence[int]) -> bool:
        return any(common_prefix(entry.tokens, tokens) == len(tokens) for entry in self._entries)
