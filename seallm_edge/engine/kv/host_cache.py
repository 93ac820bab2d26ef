"""`Shelf`: KV states of sequences that have no cells now: in host memory within a budget, and on disk where asked for.

Knows bytes and tokens, not how they are made. Belongs to the worker, and outlives a context that is unloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...native.context import State
from .slots import UNKNOWN, common_prefix
from .snapshots import Snapshots

# Below this many tokens a state is not worth its bytes: reading them anew is as quick.
SHORTEST = 64


class Kept(NamedTuple):
    """A state of `n_tokens` tokens, the first of which a prompt shares; `load` gives them and the bytes, or None. For
    `n_in_blocks` see `Slot`; of a state on disk it is not known.
    """

    n_tokens: int
    n_in_blocks: int
    is_on_disk: bool
    load: Callable[[], tuple[list[int], State] | None]


@dataclass(frozen=True)
class _Entry:
    tokens: list[int]
    state: State
    n_bytes: int
    n_in_blocks: int


class Shelf:
    """Holds at most `budget` bytes in memory, the longest unused going first; 0 holds none."""

    def __init__(self, budget: int, snapshots: Snapshots | None = None) -> None:
        self.budget = budget
        self.snapshots = snapshots
        self._entries: list[_Entry] = []  # the longest unused first

    @property
    def n_bytes(self) -> int:
        """Bytes held in memory."""
        return sum(entry.n_bytes for entry in self._entries)

    def wants(self, tokens: Sequence[int], n_bytes: int) -> bool:
        """Whether a state of this size would be kept in memory."""
        return len(tokens) >= SHORTEST and n_bytes <= self.budget and not self._covers(tokens)

    def put(self, tokens: Sequence[int], state: State, n_in_blocks: int = 0) -> None:
        """Keep a state in memory; what it makes superfluous goes, then what was used longest ago."""
        n_bytes = memoryview(state).nbytes
        if not self.wants(tokens, n_bytes):
            return
        self._entries = [entry for entry in self._entries if common_prefix(entry.tokens, tokens) < len(entry.tokens)]
        while self._entries and self.n_bytes + n_bytes > self.budget:
            self._entries.pop(0)
        self._entries.append(_Entry(list(tokens), state, n_bytes, n_in_blocks))

    @property
    def is_open(self) -> bool:
        """Whether anything is kept for later prompts at all."""
        return self.budget > 0 or self.snapshots is not None

    def best(self, tokens: Sequence[int], more_than: int, n_ctx: int) -> Kept | None:
        """The state of at most `n_ctx` tokens that shares most with `tokens`, if that is more than `more_than`."""
        shared, entry = max(
            ((common_prefix(entry.tokens, tokens), entry) for entry in self._entries if len(entry.tokens) <= n_ctx),
            key=lambda pair: pair[0],
            default=(0, None),
        )
        if snapshots := self.snapshots:
            found = snapshots.find(tokens, max(shared, more_than), n_ctx)
            if found:
                return Kept(found.n_tokens, UNKNOWN, True, lambda: snapshots.load(found))
        if entry is None or shared <= more_than:
            return None
        return Kept(len(entry.tokens), entry.n_in_blocks, False, lambda: self._take(entry))

    def _take(self, entry: _Entry) -> tuple[list[int], State]:
        # it goes back into cells, and comes back here if it has to leave them; making room for it may have put it out
        self._entries = [other for other in self._entries if other is not entry]
        return entry.tokens, entry.state

    def _covers(self, tokens: Sequence[int]) -> bool:
        return any(common_prefix(entry.tokens, tokens) == len(tokens) for entry in self._entries)
