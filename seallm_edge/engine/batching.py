"""`BatchPlanner`: which tokens of which sequences make up the next batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..drafting import Draft
from ..errors import EngineError
from .contract import Context, Speculation
from .kv.slots import Slot
from .prefill_budget import PrefillBudget
from .reproducible import batch_rule
from .sequence import ReplySequence


@dataclass
class ScheduledChunk:
    """One sequence's share of a batch: `tokens` to decode, the last of which are those of `draft`.

    `row` is the batch index of the first logits wanted, -1 for none.
    """

    sequence: ReplySequence
    slot: Slot
    tokens: list[int]
    draft: Draft = field(default_factory=Draft)
    row: int = -1

    @property
    def n_draft_tokens(self) -> int:
        """Number of draft tokens at the end of `tokens`."""
        return len(self.draft.draft_tokens)

    @property
    def completes_prefill(self) -> bool:
        """Whether the chunk decodes all pending tokens, so that a token can be sampled."""
        return len(self.tokens) - self.n_draft_tokens == self.sequence.n_pending


class BatchPlanner:
    """Fills a batch: decoding sequences first, then chunks of prompts up to the prefill budget."""

    def __init__(self, context: Context, speculation: Speculation) -> None:
        self.prefill_budget = PrefillBudget()
        self._context = context
        self._rule = batch_rule(context)
        self._speculation = speculation
        self._last_prefilled = -1

    def plan(self, ready: list[ReplySequence]) -> list[ScheduledChunk]:
        """Chunks of the next batch, in the order of `ready`, whose sequences have a slot and space in their output
        queues.
        """
        decoding = [sequence for sequence in ready if sequence.n_pending == 1]
        prefilling = [sequence for sequence in ready if sequence.n_pending > 1]
        if not decoding:
            return self._prefill_chunks(prefilling)
        chunks = self._decode_chunks(decoding, prefilling, len(ready))
        room = self._room(sum(len(chunk.tokens) for chunk in chunks))
        shares = share_out(room, [sequence.n_pending for sequence in prefilling])
        return chunks + [_prefill_chunk(sequence, n) for sequence, n in zip(prefilling, shares, strict=True) if n]

    def _prefill_chunks(self, prefilling: list[ReplySequence]) -> list[ScheduledChunk]:
        """Prefill-only batch: of one prompt, and the remainders of others as far as they fit, round robin."""
        first = next((i for i, sequence in enumerate(prefilling) if sequence.serial > self._last_prefilled), 0)
        queue = [*prefilling[first:], *prefilling[:first]]
        start = len(queue[0].history) - queue[0].n_pending
        n_tokens = self._rule.n_prefill(start, queue[0].n_pending)
        chunks = [_prefill_chunk(queue[0], n_tokens)]
        room = self._rule.n_shared - n_tokens
        for sequence in queue[1:]:
            if sequence.n_pending <= room:
                chunks.append(_prefill_chunk(sequence, sequence.n_pending))
                room -= sequence.n_pending
        self._last_prefilled = chunks[-1].sequence.serial if len(chunks) < len(queue) else -1
        return chunks

    def _room(self, n_batch_tokens: int) -> int:
        """Prompt tokens that fit beside `n_batch_tokens` of decoding sequences."""
        return max(min(self.prefill_budget.n_tokens, self._rule.n_shared - n_batch_tokens), 0)

    def _decode_chunks(
        self, decoding: list[ReplySequence], prefilling: list[ReplySequence], n_ready: int
    ) -> list[ScheduledChunk]:
        """The last token of each decoding sequence, followed by its draft tokens."""
        n_batch_tokens = len(decoding) + min(
            self._room(len(decoding)), sum(sequence.n_pending for sequence in prefilling)
        )
        room = max(min(self._context.n_outputs, self._rule.n_shared) - n_ready, 0)
        most = [
            min(sequence.max_draft_tokens, self._context.n_ctx - len(slot_of(sequence).tokens) - 1)
            if sequence.request.is_drafted
            else 0
            for sequence in decoding
        ]
        drafts = self._speculation.draft(decoding, most, n_batch_tokens, room)
        return [
            ScheduledChunk(sequence, slot_of(sequence), [*sequence.pending, *draft.tokens], draft)
            for sequence, draft in zip(decoding, drafts, strict=True)
        ]


def without_drafts(chunks: Iterable[ScheduledChunk]) -> list[ScheduledChunk]:
    """The same chunks without their draft tokens, for a KV cache that is nearly full."""
    return [
        ScheduledChunk(chunk.sequence, chunk.slot, chunk.tokens[: len(chunk.tokens) - chunk.n_draft_tokens])
        for chunk in chunks
    ]


def share_out(room: int, wants: list[int]) -> list[int]:
    """Split `room` tokens among `wants` as equally as they allow; the first ones get the remainder."""
    shares = [0] * len(wants)
    while room > 0 and (hungry := [i for i, want in enumerate(wants) if shares[i] < want]):
        each = max(room // len(hungry), 1)
        for i in hungry[:room]:
            given = min(each, wants[i] - shares[i])
            shares[i] += given
            room -= given
    return shares


def _prefill_chunk(sequence: ReplySequence, n_tokens: int) -> ScheduledChunk:
    return ScheduledChunk(sequence, slot_of(sequence), sequence.pending[:n_tokens])


def slot_of(sequence: ReplySequence) -> Slot:
    """The slot of a running sequence. Raises EngineError if it has none."""
    if sequence.slot is None:
        raise EngineError("a reply that runs has no sequence")
    return sequence.slot
