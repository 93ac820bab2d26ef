"""`Turn`: a writer's part of a step; and how much each one takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..drafting import Draft
from ..errors import EngineError
from .contract import Context, Speculation
from .kv.slots import Slot
from .prefill_budget import Pace
from .sequence import Writer

# Flash attention works on blocks of 64 rows, and otherwise row by row, which rounds otherwise. So: prompts are read in
# whole blocks and a rest, wherever reading begins; and a step with running replies stays below a block, so that what
# they say does not depend on who else is there. ref: ggml-cpu/ops.cpp, ggml_compute_forward_flash_attn_ext_f16
BLOCK = 64


@dataclass
class Turn:
    """A writer's part of a step: `tokens` to decode, of which the last are those of `draft`. `row` is the first whose
    logits are wanted, -1 where none are.
    """

    writer: Writer
    slot: Slot
    tokens: list[int]
    draft: Draft = field(default_factory=Draft)
    row: int = -1

    @property
    def n_guesses(self) -> int:
        """How many of the tokens are guesses."""
        return len(self.draft.guesses)

    @property
    def is_last(self) -> bool:
        """Whether all that was pending is decoded with it, so that a token can be chosen."""
        return len(self.tokens) - self.n_guesses == self.writer.n_pending


class TurnPlanner:
    """Deals a step's rows out: to replies first, and what prompts may take beside them evenly."""

    def __init__(self, context: Context, speculation: Speculation) -> None:
        self.pace = Pace()
        self._context = context
        self._speculation = speculation
        self._last_reader = -1

    def turns(self, ready: list[Writer]) -> list[Turn]:
        """The turns of the next step for writers that have a slot and a reader, in their order."""
        writing = [writer for writer in ready if writer.n_pending == 1]
        reading = [writer for writer in ready if writer.n_pending > 1]
        if not writing:
            return self._reading_turns(reading)
        turns = self._writing_turns(writing, reading, len(ready))
        room = self._room(sum(len(turn.tokens) for turn in turns))
        shares = share_out(room, [writer.n_pending for writer in reading])
        return turns + [_reading_turn(writer, n) for writer, n in zip(reading, shares, strict=True) if n]

    def _reading_turns(self, reading: list[Writer]) -> list[Turn]:
        """Prompts take turns where nothing is written: blocks of one, or several rests, each as if it were alone."""
        first = next((i for i, writer in enumerate(reading) if writer.serial > self._last_reader), 0)
        queue = [*reading[first:], *reading[:first]]
        n_tokens = _block_wise(queue[0], self._context.n_batch)
        turns = [_reading_turn(queue[0], n_tokens)]
        if n_tokens < BLOCK:
            room = min(BLOCK - 1, self._context.n_batch) - n_tokens
            for writer in queue[1:]:
                if writer.n_pending <= room:
                    turns.append(_reading_turn(writer, writer.n_pending))
                    room -= writer.n_pending
        self._last_reader = turns[-1].writer.serial if len(turns) < len(queue) else -1
        return turns

    def _room(self, n_rows: int) -> int:
        """Prompt tokens beside `n_rows` of replies."""
        return max(min(self.pace.chunk, min(BLOCK - 1, self._context.n_batch) - n_rows), 0)

    def _writing_turns(self, writing: list[Writer], reading: list[Writer], n_ready: int) -> list[Turn]:
        """Each reply's last token, and guesses as far as there is room for their rows."""
        n_rows = len(writing) + min(self._room(len(writing)), sum(writer.n_pending for writer in reading))
        room = max(min(self._context.n_outputs, self._context.n_batch, BLOCK - 1) - n_ready, 0)
        most = [min(writer.most_guesses, self._context.n_ctx - len(slot_of(writer).tokens) - 1) for writer in writing]
        drafts = self._speculation.draft(writing, most, n_rows, room)
        return [
            Turn(writer, slot_of(writer), [*writer.pending, *draft.tokens], draft)
            for writer, draft in zip(writing, drafts, strict=True)
        ]


def without_guesses(turns: Iterable[Turn]) -> list[Turn]:
    """The same turns, where there is no room for guesses."""
    return [Turn(turn.writer, turn.slot, turn.tokens[: len(turn.tokens) - turn.n_guesses]) for turn in turns]


def share_out(room: int, wants: list[int]) -> list[int]:
    """`room` tokens dealt to those who want some: as equally as their wants allow, the first getting what is over."""
    shares = [0] * len(wants)
    while room > 0 and (hungry := [i for i, want in enumerate(wants) if shares[i] < want]):
        each = max(room // len(hungry), 1)
        for i in hungry[:room]:
            given = min(each, wants[i] - shares[i])
            shares[i] += given
            room -= given
    return shares


def _reading_turn(writer: Writer, n_tokens: int) -> Turn:
    return Turn(writer, slot_of(writer), writer.pending[:n_tokens])


def slot_of(writer: Writer) -> Slot:
    """The sequence of a writer that runs."""
    if writer.slot is None:
        raise EngineError("a reply that runs has no sequence")
    return writer.slot


def _block_wise(writer: Writer, n_batch: int) -> int:
    """Tokens of a prompt that is read alone: up to a multiple of `n_batch`; at its end whole blocks, then the rest."""
    start = len(writer.history) - writer.n_pending
    n_tokens = min(n_batch - start % n_batch, writer.n_pending)
    return n_tokens - n_tokens % BLOCK if n_tokens > BLOCK and n_tokens == writer.n_pending else n_tokens
