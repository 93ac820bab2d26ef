"""`PrefixCache`: the KV states of earlier prompts and replies: in cells, in host memory, and on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ...native.context import State
from .host_cache import MIN_TOKENS, CachedState, HostKVCache
from .slots import Match, SequenceMemory, Slot, Slots

_MIN_GAIN = 64  # tokens that a state outside the cells must share beyond the best sequence in them


class StatefulMemory(SequenceMemory, Protocol):
    """KV cache of the native context, whose states can be copied out and in."""

    n_ctx: int
    n_sequences: int

    def clear(self) -> None:
        """Drop all cells, so that the next token takes the first one."""

    def state(self, sequence: int) -> State:
        """KV state of a sequence as bytes."""

    def restore(self, sequence: int, state: State) -> bool:
        """Fill an empty sequence from a KV state; False if it does not fit."""


class PrefixCache:
    """Slots of one context, and the copies of those that were evicted from it.

    `bytes_per_token` is the size of a state; `clock` gives seconds.
    """

    def __init__(
        self, context: StatefulMemory, host_cache: HostKVCache, bytes_per_token: int, clock: Callable[[], float]
    ) -> None:
        self.slots = Slots(context, context.n_sequences, context.n_ctx, self.offload)
        self._context = context
        self._host_cache = host_cache
        self._bytes_per_token = bytes_per_token
        self._clock = clock

    def longest_match(self, tokens: Sequence[int]) -> Match:
        """The slot that shares the longest prefix with `tokens`, restored from host memory or disk if
        that is longer.
        """
        match = self.slots.best_match(tokens)
        cached = self._host_cache.best(tokens, match.n_tokens + _MIN_GAIN, self._context.n_ctx)
        return self.slots.best_match(tokens) if cached and self._restore(cached) else match

    def release(self, slot: Slot) -> None:
        """Keep the state of a finished sequence for later prompts, if any are cached at all."""
        if self._host_cache.is_open:
            self.slots.close(slot, self._clock())
        else:
            self.slots.empty(slot)

    def keep_alone(self, slot: Slot | None) -> Slot | None:
        """Evict every sequence and put `slot` into the first cells; None if it is None or cannot be restored."""
        tokens, n_block_aligned = (slot.tokens[:], slot.n_block_aligned) if slot else ([], 0)
        state = self._context.state(slot.number) if slot else None
        for idle in self.slots.idle():
            self.slots.evict(idle)
        self._context.clear()
        first = self.slots.all[0]
        if state is None or not self._context.restore(first.number, state):
            return None
        self.slots.extend(first, tokens)
        first.n_block_aligned = n_block_aligned
        return first

    def offload(self, slot: Slot) -> None:
        """Copy a sequence that leaves its cells to host memory and to disk; does not wait for the disk."""
        saves = self._is_to_save(slot)
        keeps = self._host_cache.wants(slot.tokens, len(slot.tokens) * self._bytes_per_token)
        if not saves and not keeps:
            return
        state = self._context.state(slot.number)
        if keeps:
            self._host_cache.put(slot.tokens, state, slot.n_block_aligned)
        if saves and (snapshots := self._host_cache.snapshots):
            slot.is_saved = snapshots.save_later(slot.tokens, state)

    def offload_all(self) -> None:
        """Copy every idle sequence to host memory, and to disk if snapshots are on. Nothing may be running."""
        for slot in reversed(self.slots.idle()):  # most recently used first: the budget may not hold all
            if self._is_to_save(slot) and (snapshots := self._host_cache.snapshots):
                slot.is_saved = snapshots.save(slot.tokens, self._context.state(slot.number))
            self.offload(slot)

    def save_idle(self, since: float) -> None:
        """Snapshot idle sequences last used before `since` (seconds); does not wait for the disk."""
        for slot in self.slots.idle():
            if slot.last_used <= since and self._is_to_save(slot) and (snapshots := self._host_cache.snapshots):
                slot.is_saved = snapshots.save_later(slot.tokens, self._context.state(slot.number))
                if not slot.is_saved:  # the disk is busy: later
                    return

    @property
    def has_unsaved(self) -> bool:
        """Whether any idle sequence has no snapshot yet."""
        return any(self._is_to_save(slot) for slot in self.slots.idle())

    @property
    def host_bytes(self) -> int:
        """Bytes of KV states in host memory."""
        return self._host_cache.n_bytes

    def _restore(self, cached: CachedState) -> bool:
        """Load a cached state into cells, as an idle sequence; False if that is impossible."""
        if not self.slots.make_room(cached.n_tokens) or not self.slots.has_one_to_open():
            return False
        loaded = cached.load()
        if not loaded:
            return False
        tokens, state = loaded
        slot = self.slots.open(Match(None, 0), 0)
        if not self._context.restore(slot.number, state):
            self.slots.empty(slot)
            return False
        self.slots.extend(slot, tokens)
        self.slots.close(slot, self._clock())
        slot.is_saved, slot.n_block_aligned = cached.is_on_disk, cached.n_block_aligned
        return True

    def _is_to_save(self, slot: Slot) -> bool:
        return self._host_cache.snapshots is not None and not slot.is_saved and len(slot.tokens) >= MIN_TOKENS
