"""`Scheduler`: which requests wait, which run, and which sequence of the context each one has."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..errors import EngineError
from ..native.context import State
from .batching import BLOCK
from .contract import Context, Request, Sampler
from .kv.host_cache import MIN_TOKENS, CachedState, HostKVCache
from .kv.slots import UNKNOWN, Match, Slot, Slots, common_prefix
from .sequence import ReplySequence

MAX_RUNNING = 16
_MIN_SHARED_TOKENS = 16  # tokens of a common beginning
_GROWTH_CELLS = 16  # cells that must be left for each running reply when another one begins


class Scheduler:
    """Admits requests first come, first served, and preempts them. Reuses cached prefixes: of sequences in the KV
    cache, of the host cache, of snapshots.
    """

    def __init__(
        self,
        context: Context,
        make_sampler: Callable[[Request], Sampler],
        host_cache: HostKVCache,
        *,
        bytes_per_token: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.waiting: list[ReplySequence] = []
        self.running: list[ReplySequence] = []
        self.slots = Slots(context, context.n_sequences, context.n_ctx, self._offload)
        self._context = context
        self._make_sampler = make_sampler
        self._host_cache = host_cache
        self._bytes_per_token = bytes_per_token
        self._clock = clock
        # two sequences aside: one that a prompt shares cells with, and one to share them
        self._max_running = max(min(MAX_RUNNING, context.n_batch, context.n_sequences - 2), 1)

    def add(self, sequence: ReplySequence) -> None:
        """Queue a sequence, in the order of `serial`."""
        self.waiting.append(sequence)
        self.waiting.sort(key=lambda each: each.serial)

    def let_go(self) -> None:
        """Drop the sequences whose readers have cancelled them."""
        for sequence in [*self.waiting, *self.running]:
            if sequence.output.is_cancelled:
                sequence.drop()
        self.waiting = [sequence for sequence in self.waiting if not sequence.is_over]
        self.retire()

    def retire(self) -> None:
        """Release the slots of finished sequences and keep their KV state for later prompts."""
        for sequence in self.running:
            if sequence.is_over:
                self._release(sequence)
        self.running = [sequence for sequence in self.running if not sequence.is_over]

    def _release(self, sequence: ReplySequence) -> None:
        slot, sequence.slot = sequence.slot, None
        if slot and self._host_cache.is_open:
            self.slots.close(slot, self._clock())
        elif slot:
            self.slots.empty(slot)

    def admit(self) -> None:
        """Start waiting sequences in order. None overtakes one that lacks cells, so none starves."""
        for sequence in list(self.waiting):
            if len(self.running) >= self._max_running:
                return
            if sequence.output.is_full or self._can_soon_share_more(sequence):
                continue
            if not self._begin(sequence):
                return

    def _can_soon_share_more(self, sequence: ReplySequence) -> bool:
        """Whether a prompt being prefilled now shares a longer prefix than any cached one: then its cells are worth
        waiting for.
        """
        soon = max((_shareable(sequence, r.history) for r in self.running if r.n_pending > 1), default=0)
        return soon >= _MIN_SHARED_TOKENS and soon > self.slots.best_match(sequence.history).n_tokens

    def _begin(self, sequence: ReplySequence) -> bool:
        """Give a sequence its slot; False if cells are short."""
        match = self._match(sequence)
        n_kept = match.n_tokens
        if sequence.is_reproducible and not self.running:  # in company the rows of a step decide the last bits anyway
            match = self._compacted(match, self._exactly_reusable(match, len(sequence.history)))
            n_kept = match.n_tokens
        if not self._make_room(len(sequence.history) - n_kept, match.slot, n_kept):
            return False
        n_kept = min(n_kept, len(match.slot.tokens) if match.slot else 0)  # its reply may have had to give way
        try:
            sequence.sampler = sequence.sampler or self._make_sampler(sequence.request)
        except EngineError as error:
            self.waiting.remove(sequence)
            sequence.fail(error)
            return True
        sequence.slot = self.slots.open(match, n_kept)
        if not sequence.tokens:
            sequence.cached_tokens = n_kept
        self.waiting.remove(sequence)
        self.running.append(sequence)
        return True

    def _match(self, sequence: ReplySequence) -> Match:
        """The longest cached prefix of a sequence's tokens: in the KV cache, or restored from the host
        cache or disk.
        """
        match = self.slots.best_match(sequence.history)
        kept = self._host_cache.best(sequence.history, match.n_tokens + BLOCK, self._context.n_ctx)
        return self.slots.best_match(sequence.history) if kept and self._restore(kept) else match

    def _restore(self, kept: CachedState) -> bool:
        """Load a cached state into cells, as an idle sequence; False if that is impossible."""
        if not self.slots.make_room(kept.n_tokens) or not self.slots.has_one_to_open():
            return False
        loaded = kept.load()
        if not loaded:
            return False
        tokens, state = loaded
        slot = self.slots.open(Match(None, 0), 0)
        if not self._context.restore(slot.number, state):
            self.slots.empty(slot)
            return False
        self.slots.extend(slot, tokens)
        self.slots.close(slot, self._clock())
        slot.is_saved, slot.n_block_aligned = kept.is_on_disk, kept.n_block_aligned
        return True

    def _exactly_reusable(self, match: Match, n_prompt: int) -> int:
        """How many tokens of a match were decoded as those of a prompt of `n_prompt` tokens are that is read from its
        beginning: whole blocks as blocks, the rest of less than one as a rest. A match that is no more than the
        beginning of the prompt is kept whole: it holds replies. So is one of which nothing is known.
        """
        slot, n_kept = match
        if slot is None or n_kept == len(slot.tokens) or slot.n_block_aligned == UNKNOWN:
            return n_kept
        n_block_aligned = n_prompt - n_prompt % BLOCK if self._context.n_batch >= BLOCK else 0
        if n_kept > n_block_aligned == slot.n_block_aligned:
            return min(n_kept, max(n_prompt - 2, n_block_aligned))  # a row alone is rounded otherwise, too
        n_kept = min(n_kept, slot.n_block_aligned)
        return n_kept - n_kept % BLOCK

    def _compacted(self, match: Match, n_kept: int) -> Match:
        """The first `n_kept` tokens of a match as they are in a program that does nothing else: in the first cells,
        with nobody beside them. How many cells are in use, and their order, decide how attention rounds.
        """
        slot = match.slot if n_kept else None
        if not slot or not slot.is_contiguous or self.slots.n_used_cells > len(slot.tokens):
            slot = self._into_empty_cache(slot)
        if slot and n_kept < len(slot.tokens):
            self._offload(slot)
            self.slots.truncate(slot, n_kept)
        return Match(slot, n_kept if slot else 0)

    def _into_empty_cache(self, slot: Slot | None) -> Slot | None:
        """Put all sequences on the host cache, and `slot` into an empty KV memory; None where that is not possible."""
        tokens, state, n_block_aligned = (
            (slot.tokens[:], self._state(slot), slot.n_block_aligned) if slot else ([], None, 0)
        )
        for idle in self.slots.idle():
            self.slots.evict(idle)
        self._context.clear()
        first = self.slots.all[0]
        if state is None or not self._context.restore(first.number, state):
            return None
        self.slots.extend(first, tokens)
        first.n_block_aligned = n_block_aligned
        return first

    def _make_room(self, n_cells: int, match: Slot | None, n_kept: int) -> bool:
        """Free `n_cells` cells plus growth of running sequences. Evicts idle sequences, then preempts those with a full
        output queue.
        """
        n_cells += _GROWTH_CELLS * len(self.running)
        while not self.slots.make_room(n_cells, keep=match):
            if unread := [sequence for sequence in self.running if sequence.output.is_full]:
                self.preempt(unread[-1])
            elif match and not match.is_busy and n_kept < len(match.tokens):
                self._offload(match)  # it shares too little to be kept whole
                self.slots.truncate(match, n_kept)
            else:
                return False
        return True

    def preempt(self, sequence: ReplySequence) -> None:
        """Move a running sequence back to the waiting list and evict its cells. Its text stays; its tokens are
        prefilled again later.
        """
        self.running.remove(sequence)
        slot, sequence.slot = sequence.slot, None
        if slot:
            self.slots.close(slot, self._clock())
            self.slots.evict(slot)
        self.add(sequence)

    def save_idle(self, since: float) -> None:
        """Snapshot idle sequences last used before `since` (seconds); does not wait for the disk."""
        for slot in self.slots.idle():
            if slot.last_used <= since and self._is_to_save(slot) and (snapshots := self._host_cache.snapshots):
                slot.is_saved = snapshots.save_later(slot.tokens, self._state(slot))
                if not slot.is_saved:  # the disk is busy: later
                    return

    @property
    def has_unsaved(self) -> bool:
        """Whether any idle sequence has no snapshot yet."""
        return any(self._is_to_save(slot) for slot in self.slots.idle())

    def offload_all(self) -> None:
        """Copy every idle sequence to the host cache, and to disk if snapshots are on. Nothing may be running."""
        for slot in reversed(self.slots.idle()):  # the one used last first: the budget may not hold all
            if self._is_to_save(slot) and (snapshots := self._host_cache.snapshots):
                slot.is_saved = snapshots.save(slot.tokens, self._state(slot))
            self._offload(slot)

    def _offload(self, slot: Slot) -> None:
        """Copy a sequence that is being evicted to the host cache and to disk; does not wait for the disk."""
        saves = self._is_to_save(slot)
        keeps = self._host_cache.wants(slot.tokens, len(slot.tokens) * self._bytes_per_token)
        if not saves and not keeps:
            return
        state = self._state(slot)
        if keeps:
            self._host_cache.put(slot.tokens, state, slot.n_block_aligned)
        if saves and (snapshots := self._host_cache.snapshots):
            slot.is_saved = snapshots.save_later(slot.tokens, state)

    def _is_to_save(self, slot: Slot) -> bool:
        return self._host_cache.snapshots is not None and not slot.is_saved and len(slot.tokens) >= MIN_TOKENS

    def _state(self, slot: Slot) -> State:
        return self._context.state(slot.number)


def _shareable(sequence: ReplySequence, tokens: Sequence[int]) -> int:
    return min(common_prefix(sequence.history, tokens), len(sequence.history) - 1)
