"""`EngineCore`: the step loop of continuous batching. Single-threaded; knows neither text nor threads.

A sequence has pending tokens: many while its prompt is prefilled, one (the token sampled last) while it decodes. Each
step batches some tokens of every sequence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ..errors import EngineError, SeaLLMError
from ..native.batch import Batch
from ..native.context import DecodeAborted, NoRoom
from ..native.model import GpuFailed
from .batching import BatchPlanner, ScheduledChunk, without_drafts
from .contract import Context, NoSpeculation, Speculation, Vocabulary
from .reproducible import BLOCK
from .scheduler import Scheduler
from .sequence import ReplySequence
from .stats import Counters, EngineStats


class EngineCore:
    """Runs the scheduler's sequences over one context."""

    def __init__(
        self,
        context: Context,
        vocabulary: Vocabulary,
        scheduler: Scheduler,
        batch: Batch,
        *,
        speculation: Speculation | None = None,
        counters: Counters | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.scheduler = scheduler
        # Sequences whose prompt the current step prefills: it is long enough to be worth an abort.
        self.prefilling: frozenset[ReplySequence] = frozenset()
        self._context = context
        self._vocabulary = vocabulary
        self._speculation = speculation or NoSpeculation()
        self._counters = counters or Counters()
        self._planner = BatchPlanner(context, self._speculation)
        self._plan_seconds = self._seconds = 0.0  # of the last step: drafting, and decoding
        self._batch = batch
        self._clock = clock

    @property
    def has_work(self) -> bool:
        """Whether any request waits or runs."""
        return bool(self.scheduler.waiting or self.scheduler.running)

    def step(self) -> bool:
        """Run one step: schedule, decode, sample, deliver. False if nothing could be decoded: all sequences wait for
        readers. Raises GpuFailed, with every sequence as it was before.
        """
        self._context.allow()
        self.scheduler.let_go()
        self.scheduler.admit()
        started = self._clock()
        chunks = self._plan()
        self._plan_seconds = self._clock() - started
        if chunks and self._decode(chunks):
            self._choose(chunks)
        return bool(chunks)

    def stats(self) -> EngineStats:
        """Requests, cells and totals now. Any thread may ask."""
        scheduler = self.scheduler
        return EngineStats(
            running=len(scheduler.running),
            waiting=len(scheduler.waiting),
            cells=scheduler.slots.n_cells,
            cells_used=scheduler.slots.n_used_cells,
            cached_sequences=len(scheduler.slots.idle()),
            host_cache_bytes=scheduler.cache.host_bytes,
            **vars(self._counters),
        )

    def fail(self, error_for: Callable[[], Exception]) -> None:
        """End every request with an error; decoded prefixes stay cached."""
        for sequence in [*self.scheduler.waiting, *self.scheduler.running]:
            sequence.fail(error_for())
        self.scheduler.let_go()

    def _plan(self) -> list[ScheduledChunk]:
        """Plan the next batch. Where cells are short, preempt the newest sequence, those with a full output queue
        first.
        """
        scheduler = self.scheduler
        while ready := [sequence for sequence in scheduler.running if not sequence.output.is_full]:
            chunks = self._planner.plan(ready)
            if scheduler.slots.make_room(sum(len(chunk.tokens) for chunk in chunks)):
                return chunks
            chunks = without_drafts(chunks)
            if scheduler.slots.make_room(sum(len(chunk.tokens) for chunk in chunks)):
                return chunks
            scheduler.preempt(max(scheduler.running, key=lambda sequence: (sequence.output.is_full, sequence.serial)))
        return []

    def _decode(self, chunks: list[ScheduledChunk]) -> bool:
        """Decode the batch; False if it was aborted or failed."""
        self._fill(chunks)
        self.prefilling = frozenset(chunk.sequence for chunk in chunks if chunk.sequence.n_pending > 1)
        started = self._clock()
        try:
            self._context.run(self._batch)
        except DecodeAborted:
            return False
        except NoRoom as error:
            self._give_way(error)
            return False
        except GpuFailed:
            raise
        except EngineError as error:
            for chunk in chunks:
                chunk.sequence.fail(EngineError(error.message, error.hint))
            self.scheduler.retire()
            return False
        finally:
            self.prefilling = frozenset()
        n_prompt = sum(len(chunk.tokens) for chunk in chunks if chunk.sequence.n_pending > 1)
        self._seconds = self._clock() - started
        self._counters.prefilled_tokens += n_prompt
        self._planner.prefill_budget.record(len(self._batch) - n_prompt, n_prompt, self._seconds)
        if not n_prompt:
            self._speculation.record_step(len(self._batch), self._seconds)
        return True

    def _fill(self, chunks: Iterable[ScheduledChunk]) -> None:
        self._batch.clear()
        for chunk in chunks:
            position, number = len(chunk.slot.tokens), chunk.slot.number
            if len(chunk.tokens) == 1:
                chunk.row = self._batch.add(chunk.tokens[0], position, number)
                continue
            n_logits = 1 + chunk.n_draft_tokens if chunk.completes_prefill else 0
            last = self._batch.extend(chunk.tokens, position, number, n_logits=n_logits)
            chunk.row = last - chunk.n_draft_tokens

    def _give_way(self, error: EngineError) -> None:
        """Free cells after llama.cpp found none where the count said there were some."""
        scheduler = self.scheduler
        if len(scheduler.running) > 1:
            scheduler.preempt(max(scheduler.running, key=lambda sequence: sequence.serial))
        elif idle := scheduler.slots.idle():
            scheduler.slots.evict(idle[0])
        else:
            self.fail(lambda: EngineError(error.message, error.hint))

    def _choose(self, chunks: list[ScheduledChunk]) -> None:
        is_pure = all(chunk.sequence.n_pending == 1 for chunk in chunks)  # no prompts in it
        n_draft_tokens = sum(chunk.n_draft_tokens for chunk in chunks)
        baseline_seconds = self._speculation.baseline_seconds(len(self._batch), n_draft_tokens, self._seconds)
        n_chosen = 0
        for chunk in chunks:
            completes_prefill, was_prefilling = chunk.completes_prefill, chunk.sequence.n_pending > 1
            self.scheduler.slots.extend(chunk.slot, chunk.tokens, block_aligned=len(self._batch) >= BLOCK)
            if completes_prefill:
                baseline = None if was_prefilling else baseline_seconds
                chunk.sequence.record_step(self._plan_seconds + self._seconds, baseline)
                try:
                    n_tokens = self._accept(chunk)
                    n_chosen += n_tokens
                    self._counters.generated_tokens += n_tokens
                except SeaLLMError as error:
                    chunk.sequence.fail(error)
        if is_pure:
            self._speculation.record_tokens(len(chunks), len(self._batch), n_chosen)
        self.scheduler.retire()

    def _accept(self, chunk: ScheduledChunk) -> int:
        """Sample tokens while draft tokens are accepted, then drop the rejected ones' cells. Returns the number of
        tokens sampled.
        """
        sequence, slot = chunk.sequence, chunk.slot
        sequence.record_prefill()
        draft_tokens = chunk.draft.tokens
        n_before, n_accepted = len(sequence.tokens), 0
        while True:
            assert sequence.sampler is not None
            chosen = sequence.sampler.sample(self._context, chunk.row + n_accepted, sequence.history)
            is_accepted = n_accepted < len(draft_tokens) and chosen.token == draft_tokens[n_accepted]
            if not (sequence.take(chosen, self._vocabulary) and is_accepted):
                break
            n_accepted += 1
        self._speculation.record_verification(chunk.draft, n_accepted + is_accepted)
        self._counters.draft_tokens += len(draft_tokens)
        self._counters.accepted_tokens += n_accepted + is_accepted
        self.scheduler.slots.truncate(slot, len(slot.tokens) - len(draft_tokens) + n_accepted)
        if not sequence.is_over and len(slot.tokens) >= self._context.n_ctx:
            sequence.finish("length")
        return len(sequence.tokens) - n_before
