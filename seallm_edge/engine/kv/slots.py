"""`Slots`: the sequences of one context and the tokens whose KV each holds, running or cached for a later prompt.

Knows no text and no requests, and of time only the order of use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from .cells import Cells
from .prefix import common_prefix


class SequenceMemory(Protocol):
    """KV cache operations of the native context."""

    def copy(self, source: int, target: int, n_tokens: int) -> None:
        """Share the first `n_tokens` cells of `source` with the empty sequence `target`."""

    def forget(self, sequence: int, position: int = 0) -> None:
        """Drop a sequence's cells from `position` on."""


UNKNOWN = -1


class Slot:
    """One sequence of the context: `tokens` are decoded, in order from position 0.

    `is_saved`: a snapshot is on disk. `is_contiguous`: its tokens occupy cells 0 to n-1 in order. The first
    `n_block_aligned` tokens were decoded in batches of a block or more; `UNKNOWN` if that was not recorded.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.tokens: list[int] = []
        self.cells: list[int] = []
        self.is_busy = False
        self.is_saved = False
        self.is_contiguous = False
        self.n_block_aligned = 0
        self.last_used = 0.0


class Match(NamedTuple):
    """A slot, and the number of its first tokens that a prompt shares."""

    slot: Slot | None
    n_tokens: int


class Slots:
    """Slots of `n_slots` sequences over `n_cells` cells. Calls `on_evict(slot)` before an idle slot is emptied for
    others.
    """

    def __init__(
        self, memory: SequenceMemory, n_slots: int, n_cells: int, on_evict: Callable[[Slot], None] = lambda _: None
    ) -> None:
        self._memory = memory
        self._cells = Cells(n_cells)
        self._on_evict = on_evict
        self.all = [Slot(number) for number in range(n_slots)]

    @property
    def n_free_cells(self) -> int:
        """Number of cells that no sequence holds."""
        return self._cells.n_free

    @property
    def n_cells(self) -> int:
        """Number of all cells."""
        return self._cells.n_cells

    @property
    def n_used_cells(self) -> int:
        """Number of cells that some sequence holds."""
        return self.n_cells - self.n_free_cells

    def idle(self) -> list[Slot]:
        """Cached sequences, least recently used first."""
        kept = (slot for slot in self.all if slot.tokens and not slot.is_busy)
        return sorted(kept, key=lambda slot: slot.last_used)

    def best_match(self, tokens: Sequence[int]) -> Match:
        """The slot, running or idle, that shares the longest prefix with `tokens`. At least one token is left to
        decode.
        """
        best = Match(None, 0)
        for slot in self.all:
            shared = min(common_prefix(slot.tokens, tokens), len(tokens) - 1)
            if shared > best.n_tokens or (shared == best.n_tokens > 0 and best.slot and best.slot.is_busy):
                best = Match(slot, shared)
        return best

    def has_one_to_open(self, keep: Slot | None = None) -> bool:
        """Whether `open` would find an empty or evictable slot other than `keep`."""
        return any(not slot.is_busy and slot is not keep for slot in self.all)

    def open(self, match: Match, n_tokens: int) -> Slot:
        """A busy slot that holds the first `n_tokens` of a match: the matched slot itself if it is idle and matched in
        full, else another one that shares its cells. Needs a slot to open.
        """
        source = match.slot
        if source and not source.is_busy and len(source.tokens) == match.n_tokens:
            self.truncate(source, n_tokens)
            slot = source
        else:
            slot = self._empty_slot(keep=source)
            if source and n_tokens:
                self._share(source, slot, n_tokens)
        slot.is_busy = True
        slot.is_saved = False
        return slot

    def extend(self, slot: Slot, tokens: Sequence[int], *, block_aligned: bool = False) -> None:
        """Record that `tokens` were decoded after those of `slot`. The cells must be free."""
        if block_aligned and slot.n_block_aligned == len(slot.tokens):
            slot.n_block_aligned += len(tokens)
        slot.is_contiguous = self.n_used_cells == len(slot.tokens) and (slot.is_contiguous or not slot.tokens)
        slot.cells += self._cells.take(len(tokens))
        slot.tokens += tokens
        slot.is_saved = False

    def truncate(self, slot: Slot, n_tokens: int) -> None:
        """Drop all but the first `n_tokens` of `slot`."""
        if n_tokens < len(slot.tokens):
            self._memory.forget(slot.number, n_tokens)
            self._cells.give_back(slot.cells[n_tokens:])
            del slot.tokens[n_tokens:], slot.cells[n_tokens:]
            slot.n_block_aligned = min(slot.n_block_aligned, n_tokens) if n_tokens else 0

    def close(self, slot: Slot, now: float) -> None:
        """Keep `slot` as a cached prefix, last used `now`."""
        slot.is_busy = False
        slot.last_used = now

    def make_room(self, n_cells: int, keep: Slot | None = None) -> bool:
        """Evict idle slots, least recently used first and never `keep`, until `n_cells` are free; False, and nothing
        evicted, if that cannot be reached.
        """
        if n_cells <= self._cells.n_free:
            return True
        if n_cells > self._cells.n_free + self._reclaimable(keep):
            return False
        for slot in self.idle():
            if self._cells.n_free >= n_cells:
                break
            if slot is not keep:
                self.evict(slot)
        return self._cells.n_free >= n_cells

    def evict(self, slot: Slot) -> None:
        """Empty `slot` after `on_evict` had the chance to copy it."""
        self._on_evict(slot)
        self.empty(slot)

    def empty(self, slot: Slot) -> None:
        """Empty `slot` and mark it idle."""
        self.truncate(slot, 0)
        slot.is_busy = False

    def _empty_slot(self, keep: Slot | None) -> Slot:
        for slot in self.all:
            if not slot.tokens and not slot.is_busy:
                return slot
        slot = next(slot for slot in self.idle() if slot is not keep)
        self.evict(slot)
        return slot

    def _share(self, source: Slot, target: Slot, n_tokens: int) -> None:
        self._memory.copy(source.number, target.number, n_tokens)
        target.tokens = source.tokens[:n_tokens]
        target.cells = source.cells[:n_tokens]
        target.n_block_aligned = min(source.n_block_aligned, n_tokens)
        self._cells.share(target.cells)

    def _reclaimable(self, keep: Slot | None) -> int:
        """Cells that evicting all idle slots but `keep` would free: those that only they hold."""
        held: dict[int, int] = {}
        for slot in self.idle():
            if slot is not keep:
                for cell in slot.cells:
                    held[cell] = held.get(cell, 0) + 1
        return self._cells.n_held_only_by(held)
