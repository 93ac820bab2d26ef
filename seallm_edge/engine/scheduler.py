"""`Lineup`: who waits, who runs, and which sequence of the context each one has."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..errors import EngineError
from ..native.context import State
from .batching import BLOCK
from .contract import Context, Request, Sampler
from .kv.host_cache import SHORTEST, Kept, Shelf
from .kv.slots import UNKNOWN, Match, Slot, Slots, common_prefix
from .sequence import Writer

MOST_RUNNING = 16
_WORTH_WAITING = 16  # tokens of a common beginning
_ROOM_TO_GROW = 16  # cells that must be left for each running reply when another one begins


class Lineup:
    """Gives writers sequences in the order of their asking, and takes them back. Reuses what is decoded already: of
    other sequences in memory, and of the shelf.
    """

    def __init__(
        self,
        context: Context,
        make_sampler: Callable[[Request], Sampler],
        shelf: Shelf,
        *,
        bytes_per_token: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.waiting: list[Writer] = []
        self.running: list[Writer] = []
        self.slots = Slots(context, context.n_sequences, context.n_ctx, self._shelve)
        self._context = context
        self._make_sampler = make_sampler
        self._shelf = shelf
        self._bytes_per_token = bytes_per_token
        self._clock = clock
        # two sequences aside: one that a prompt shares cells with, and one to share them
        self._most_running = max(min(MOST_RUNNING, context.n_batch, context.n_sequences - 2), 1)

    def add(self, writer: Writer) -> None:
        """Let a writer wait for its turn, in the order of `serial`."""
        self.waiting.append(writer)
        self.waiting.sort(key=lambda each: each.serial)

    def let_go(self) -> None:
        """Drop the replies whose readers have cancelled them."""
        for writer in [*self.waiting, *self.running]:
            if writer.feed.is_cancelled:
                writer.drop()
        self.waiting = [writer for writer in self.waiting if not writer.is_over]
        self.retire()

    def retire(self) -> None:
        """Take the sequences of those whose replies are over, and keep them for later prompts."""
        for writer in self.running:
            if writer.is_over:
                self._release(writer)
        self.running = [writer for writer in self.running if not writer.is_over]

    def _release(self, writer: Writer) -> None:
        slot, writer.slot = writer.slot, None
        if slot and self._shelf.is_open:
            self.slots.close(slot, self._clock())
        elif slot:
            self.slots.empty(slot)

    def admit(self) -> None:
        """Begin with those who wait, in their order. Nobody overtakes one that has no room, so nobody starves."""
        for writer in list(self.waiting):
            if len(self.running) >= self._most_running:
                return
            if writer.feed.is_full or self._can_soon_share_more(writer):
                continue
            if not self._begin(writer):
                return

    def _can_soon_share_more(self, writer: Writer) -> bool:
        """Whether a prompt that is being read now begins like this one: then its cells are worth waiting for."""
        soon = max((_shareable(writer, r.history) for r in self.running if r.n_pending > 1), default=0)
        return soon >= _WORTH_WAITING and soon > self.slots.best_match(writer.history).n_tokens

    def _begin(self, writer: Writer) -> bool:
        """Give a writer its sequence; whether there was room."""
        match = self._match(writer)
        n_kept = match.n_tokens
        if writer.is_reproducible and not self.running:  # in company the rows of a step decide the last bits anyway
            match = self._tidied(match, self._kept_as_read(match, len(writer.history)))
            n_kept = match.n_tokens
        if not self._make_room(len(writer.history) - n_kept, match.slot, n_kept):
            return False
        n_kept = min(n_kept, len(match.slot.tokens) if match.slot else 0)  # its reply may have had to give way
        try:
            writer.sampler = writer.sampler or self._make_sampler(writer.request)
        except EngineError as error:
            self.waiting.remove(writer)
            writer.fail(error)
            return True
        writer.slot = self.slots.open(match, n_kept)
        if not writer.tokens:
            writer.cached_tokens = n_kept
        self.waiting.remove(writer)
        self.running.append(writer)
        return True

    def _match(self, writer: Writer) -> Match:
        """Where a prompt can go on from: a sequence in memory, or one from the shelf that shares more."""
        match = self.slots.best_match(writer.history)
        kept = self._shelf.best(writer.history, match.n_tokens + BLOCK, self._context.n_ctx)
        return self.slots.best_match(writer.history) if kept and self._restore(kept) else match

    def _restore(self, kept: Kept) -> bool:
        """Bring a sequence from the shelf back into cells, as one that is idle; whether that was possible."""
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
        slot.is_saved, slot.n_in_blocks = kept.is_on_disk, kept.n_in_blocks
        return True

    def _kept_as_read(self, match: Match, n_prompt: int) -> int:
        """How many tokens of a match were decoded as those of a prompt of `n_prompt` tokens are that is read from its
        beginning: whole blocks as blocks, the rest of less than one as a rest. A match that is no more than the
        beginning of the prompt is kept whole: it holds replies. So is one of which nothing is known.
        """
        slot, n_kept = match
        if slot is None or n_kept == len(slot.tokens) or slot.n_in_blocks == UNKNOWN:
            return n_kept
        n_in_blocks = n_prompt - n_prompt % BLOCK if self._context.n_batch >= BLOCK else 0
        if n_kept > n_in_blocks == slot.n_in_blocks:
            return min(n_kept, max(n_prompt - 2, n_in_blocks))  # a row alone is rounded otherwise, too
        n_kept = min(n_kept, slot.n_in_blocks)
        return n_kept - n_kept % BLOCK

    def _tidied(self, match: Match, n_kept: int) -> Match:
        """The first `n_kept` tokens of a match as they are in a program that does nothing else: in the first cells,
        with nobody beside them. How many cells are in use, and their order, decide how attention rounds.
        """
        slot = match.slot if n_kept else None
        if not slot or not slot.is_tidy or self.slots.n_used_cells > len(slot.tokens):
            slot = self._alone(slot)
        if slot and n_kept < len(slot.tokens):
            self._shelve(slot)
            self.slots.truncate(slot, n_kept)
        return Match(slot, n_kept if slot else 0)

    def _alone(self, slot: Slot | None) -> Slot | None:
        """Put all sequences on the shelf, and `slot` into an empty KV memory; None where that is not possible."""
        tokens, state, n_in_blocks = (slot.tokens[:], self._state(slot), slot.n_in_blocks) if slot else ([], None, 0)
        for idle in self.slots.idle():
            self.slots.evict(idle)
        self._context.clear()
        first = self.slots.all[0]
        if state is None or not self._context.restore(first.number, state):
            return None
        self.slots.extend(first, tokens)
        first.n_in_blocks = n_in_blocks
        return first

    def _make_room(self, n_cells: int, match: Slot | None, n_kept: int) -> bool:
        """Room for a prompt's cells, and for those who run to go on a while. Replies that nobody reads give way."""
        n_cells += _ROOM_TO_GROW * len(self.running)
        while not self.slots.make_room(n_cells, keep=match):
            if unread := [writer for writer in self.running if writer.feed.is_full]:
                self.preempt(unread[-1])
            elif match and not match.is_busy and n_kept < len(match.tokens):
                self._shelve(match)  # it shares too little to be kept whole
                self.slots.truncate(match, n_kept)
            else:
                return False
        return True

    def preempt(self, writer: Writer) -> None:
        """Let a writer wait again, without its cells. What it has written stays; its tokens are read again later."""
        self.running.remove(writer)
        slot, writer.slot = writer.slot, None
        if slot:
            self.slots.close(slot, self._clock())
            self.slots.evict(slot)
        self.add(writer)

    def save_idle(self, since: float) -> None:
        """Write to disk what was not used since then and is not there yet; the disk is not waited for."""
        for slot in self.slots.idle():
            if slot.last_used <= since and self._is_to_save(slot) and (snapshots := self._shelf.snapshots):
                slot.is_saved = snapshots.save_later(slot.tokens, self._state(slot))
                if not slot.is_saved:  # the disk is busy: later
                    return

    @property
    def has_unsaved(self) -> bool:
        """Whether an idle sequence waits for `save_idle`."""
        return any(self._is_to_save(slot) for slot in self.slots.idle())

    def shelve_all(self) -> None:
        """Keep a copy of every sequence, on disk too where that was asked for; nothing may be running."""
        for slot in reversed(self.slots.idle()):  # the one used last first: the budget may not hold all
            if self._is_to_save(slot) and (snapshots := self._shelf.snapshots):
                slot.is_saved = snapshots.save(slot.tokens, self._state(slot))
            self._shelve(slot)

    def _shelve(self, slot: Slot) -> None:
        """Keep a copy of a sequence that leaves its cells; the disk is not waited for, and may be too busy for it."""
        saves = self._is_to_save(slot)
        keeps = self._shelf.wants(slot.tokens, len(slot.tokens) * self._bytes_per_token)
        if not saves and not keeps:
            return
        state = self._state(slot)
        if keeps:
            self._shelf.put(slot.tokens, state, slot.n_in_blocks)
        if saves and (snapshots := self._shelf.snapshots):
            slot.is_saved = snapshots.save_later(slot.tokens, state)

    def _is_to_save(self, slot: Slot) -> bool:
        return self._shelf.snapshots is not None and not slot.is_saved and len(slot.tokens) >= SHORTEST

    def _state(self, slot: Slot) -> State:
        return self._context.state(slot.number)


def _shareable(writer: Writer, tokens: Sequence[int]) -> int:
    return min(common_prefix(writer.history, tokens), len(writer.history) - 1)
