"""`Scheduler`: which requests wait, which run, and which sequence of the context each one has."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..errors import EngineError
from .contract import Context, Request, Sampler
from .kv.host_cache import HostKVCache
from .kv.prefix import common_prefix
from .kv.prefix_cache import PrefixCache
from .kv.slots import Slot
from .reproducible import batch_rule
from .sequence import ReplySequence

MAX_RUNNING = 32
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
        self.cache = PrefixCache(context, host_cache, bytes_per_token, clock)
        self.slots = self.cache.slots
        self._rule = batch_rule(context)
        self._make_sampler = make_sampler
        self._clock = clock
        # two sequences aside: one that a prompt shares cells with, and one to share them
        self._max_running = max(min(MAX_RUNNING, context.n_batch, context.n_sequences - 2), 1)

    def add(self, sequence: ReplySequence) -> None:
        """Queue a sequence, in the order of `serial`."""
        self.waiting.append(sequence)
        self.waiting.sort(key=lambda each: each.serial)

    def take_all(self) -> list[ReplySequence]:
        """All requests, in the order of asking, without their slots and drafters. Their cells are lost."""
        unfinished = (sequence for sequence in [*self.waiting, *self.running] if not sequence.is_over)
        taken = sorted(unfinished, key=lambda sequence: sequence.serial)
        self.waiting, self.running = [], []
        for sequence in taken:
            sequence.leave()
        return taken

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
            if sequence.is_over and sequence.slot:
                slot, sequence.slot = sequence.slot, None
                self.cache.release(slot)
        self.running = [sequence for sequence in self.running if not sequence.is_over]

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
        match = self.cache.longest_match(sequence.history)
        if sequence.is_reproducible and not self.running:
            match = self._rule.reusable(self.cache, match, len(sequence.history))
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

    def _make_room(self, n_cells: int, match: Slot | None, n_kept: int) -> bool:
        """Free `n_cells` cells plus growth of running sequences. Evicts idle sequences, then preempts those with a full
        output queue.
        """
        n_cells += _GROWTH_CELLS * len(self.running)
        while not self.slots.make_room(n_cells, keep=match):
            if unread := [sequence for sequence in self.running if sequence.output.is_full]:
                self.preempt(unread[-1])
            elif match and not match.is_busy and n_kept < len(match.tokens):
                self.cache.offload(match)  # it shares too little to be kept whole
                self.slots.truncate(match, n_kept)
            else:
                return False
        return True

    def preempt(self, sequence: ReplySequence) -> None:
        """Move a running sequence back to the waiting list and evict its cells. Its text stays; its tokens are
        prefilled again later.
        """
        self.running.remove(sequence)
        self.add(sequence)
        slot, sequence.slot = sequence.slot, None
        if slot:
            self.slots.close(slot, self._clock())
            self.slots.evict(slot)


def _shareable(sequence: ReplySequence, tokens: Sequence[int]) -> int:
    return min(common_prefix(sequence.history, tokens), len(sequence.history) - 1)
