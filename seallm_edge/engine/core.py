"""`Scheduler`: the step loop. Single-threaded, and knows neither text nor threads: writers bring the one, the worker is
the other.

A sequence has tokens that are not decoded yet: many while its prompt is read, one (the token chosen last) while its
reply is written. A step takes some of each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ..errors import EngineError, SeaLLMError
from ..native.batch import Batch
from ..native.context import DecodeAborted, NoRoom
from .batching import BLOCK, Turn, TurnPlanner, without_guesses
from .contract import Context, NoSpeculation, Speculation, Vocabulary
from .scheduler import Lineup
from .sequence import Writer


class Scheduler:
    """Writes the replies of a lineup over one context."""

    def __init__(
        self,
        context: Context,
        vocabulary: Vocabulary,
        lineup: Lineup,
        batch: Batch,
        *,
        speculation: Speculation | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.lineup = lineup
        self.reading: frozenset[Writer] = frozenset()  # whose prompt the current step reads: an abort is worth it
        self._context = context
        self._vocabulary = vocabulary
        self._speculation = speculation or NoSpeculation()
        self._planner = TurnPlanner(context, self._speculation)
        self._plan_seconds = self._seconds = 0.0  # that the last step took: guessing, and decoding
        self._batch = batch
        self._clock = clock

    @property
    def has_work(self) -> bool:
        """Whether any reply is waiting or running."""
        return bool(self.lineup.waiting or self.lineup.running)

    def step(self) -> bool:
        """Admit, decode, choose, deliver. False where there was nothing to decode: all wait for their readers."""
        self._context.allow()
        self.lineup.let_go()
        self.lineup.admit()
        started = self._clock()
        turns = self._plan()
        self._plan_seconds = self._clock() - started
        if turns and self._decode(turns):
            self._choose(turns)
        return bool(turns)

    def fail(self, error_for: Callable[[], Exception]) -> None:
        """End every reply with an error; what is decoded stays for later prompts."""
        for writer in [*self.lineup.waiting, *self.lineup.running]:
            writer.fail(error_for())
        self.lineup.let_go()

    def _plan(self) -> list[Turn]:
        """The turns of the next step. Where cells are short the newest waits, those whose readers are behind first."""
        lineup = self.lineup
        while ready := [writer for writer in lineup.running if not writer.feed.is_full]:
            turns = self._planner.turns(ready)
            if lineup.slots.make_room(sum(len(turn.tokens) for turn in turns)):
                return turns
            turns = without_guesses(turns)
            if lineup.slots.make_room(sum(len(turn.tokens) for turn in turns)):
                return turns
            lineup.preempt(max(lineup.running, key=lambda writer: (writer.feed.is_full, writer.serial)))
        return []

    def _decode(self, turns: list[Turn]) -> bool:
        """Run the step; whether it came to its end."""
        self._fill(turns)
        self.reading = frozenset(turn.writer for turn in turns if turn.writer.n_pending > 1)
        started = self._clock()
        try:
            self._context.run(self._batch)
        except DecodeAborted:
            return False
        except NoRoom as error:
            self._give_way(error)
            return False
        except EngineError as error:
            for turn in turns:
                turn.writer.fail(EngineError(error.message, error.cure))
            self.lineup.retire()
            return False
        finally:
            self.reading = frozenset()
        n_prompt = sum(len(turn.tokens) for turn in turns if turn.writer.n_pending > 1)
        self._seconds = self._clock() - started
        self._planner.pace.note(len(self._batch) - n_prompt, n_prompt, self._seconds)
        if not n_prompt:
            self._speculation.note_step(len(self._batch), self._seconds)
        return True

    def _fill(self, turns: Iterable[Turn]) -> None:
        self._batch.clear()
        for turn in turns:
            position, number = len(turn.slot.tokens), turn.slot.number
            if len(turn.tokens) == 1:
                turn.row = self._batch.add(turn.tokens[0], position, number)
                continue
            n_logits = 1 + turn.n_guesses if turn.is_last else 0
            last = self._batch.extend(turn.tokens, position, number, n_logits=n_logits)
            turn.row = last - turn.n_guesses

    def _give_way(self, error: EngineError) -> None:
        """llama.cpp found no room where there should have been some."""
        lineup = self.lineup
        if len(lineup.running) > 1:
            lineup.preempt(max(lineup.running, key=lambda writer: writer.serial))
        elif idle := lineup.slots.idle():
            lineup.slots.evict(idle[0])
        else:
            self.fail(lambda: EngineError(error.message, error.cure))

    def _choose(self, turns: list[Turn]) -> None:
        is_pure = all(turn.writer.n_pending == 1 for turn in turns)  # no prompts in it
        n_guesses = sum(turn.n_guesses for turn in turns)
        plain_seconds = self._speculation.plain_seconds(len(self._batch), n_guesses, self._seconds)
        n_chosen = 0
        for turn in turns:
            is_last, was_reading = turn.is_last, turn.writer.n_pending > 1
            self.lineup.slots.extend(turn.slot, turn.tokens, in_blocks=len(self._batch) >= BLOCK)
            if is_last:
                try:
                    n_tokens = self._accept(turn)
                    if not was_reading:
                        turn.writer.note_step(n_tokens, self._plan_seconds + self._seconds, plain_seconds)
                    n_chosen += n_tokens
                except SeaLLMError as error:
                    turn.writer.fail(error)
        if is_pure:
            self._speculation.note_tokens(len(turns), len(self._batch), n_chosen)
        self.lineup.retire()

    def _accept(self, turn: Turn) -> int:
        """Choose tokens as long as the guesses are right; what was decoded of wrong ones is forgotten. How many."""
        writer, slot = turn.writer, turn.slot
        writer.note_prompt_read()
        guesses = turn.draft.tokens
        n_before, n_right = len(writer.tokens), 0
        while True:
            assert writer.sampler is not None
            chosen = writer.sampler.sample(self._context, turn.row + n_right, writer.history)
            is_right = n_right < len(guesses) and chosen.token == guesses[n_right]
            if not (writer.take(chosen, self._vocabulary) and is_right):
                break
            n_right += 1
        self._speculation.note_checked(turn.draft, n_right + is_right)
        self.lineup.slots.truncate(slot, len(slot.tokens) - len(guesses) + n_right)
        if not writer.is_over and len(slot.tokens) >= self._context.n_ctx:
            writer.finish("length")
        return len(writer.tokens) - n_before
