"""A context without a model: it holds tokens where llama.cpp holds KV, and says what would come next by a hash of them.

It knows what is in each sequence, so a sampler over it can check that a token is chosen from just the text so far.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from seallm_edge.engine.contract import Request
from seallm_edge.engine.core import EngineCore
from seallm_edge.engine.kv.host_cache import HostKVCache
from seallm_edge.engine.output_queue import Finished, OutputQueue, TextDelta
from seallm_edge.engine.scheduler import Scheduler
from seallm_edge.engine.sequence import ReplySequence
from seallm_edge.native.context import DecodeAborted, NoRoom
from seallm_edge.native.sampler import Chosen
from seallm_edge.sampling import Sampling

N_TOKENS = 64
END = 63
BYTES_A_TOKEN = 10


def next_token(tokens: Sequence[int]) -> int:
    """What the model would say after `tokens`; the end one time in 100."""
    number = int.from_bytes(hashlib.blake2b(bytes(tokens), digest_size=4).digest())
    return number % END if number % 100 else END


def alone(request: Request) -> list[int]:
    """The whole reply to a request, as it must come whatever else goes on."""
    tokens = list(request.tokens)
    limit = request.sampling.max_tokens
    while limit is None or len(tokens) - len(request.tokens) < limit:
        token = next_token(tokens)
        if token == END:
            break
        tokens.append(token)
    return tokens[len(request.tokens) :]


class FakeBatch:
    """Rows as plain tuples."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int, bool]] = []

    def __len__(self) -> int:
        return len(self.rows)

    def clear(self) -> None:
        self.rows.clear()

    def add(self, token: int, position: int, sequence: int) -> int:
        self.rows.append((token, position, sequence, True))
        return len(self.rows) - 1

    def extend(self, tokens: Sequence[int], position: int, sequence: int, *, n_logits: int) -> int:
        first_wanted = len(tokens) - n_logits
        for i, token in enumerate(tokens):
            self.rows.append((token, position + i, sequence, i >= first_wanted))
        return len(self.rows) - 1


class FakeContext:
    """Cells hold (position, token) for a set of sequences; there are `n_ctx`."""

    def __init__(
        self, n_ctx: int = 96, n_batch: int = 16, n_sequences: int = 8, n_outputs: int = 8, *,
        is_batch_invariant: bool = False,
    ) -> None:  # fmt: skip
        self.is_batch_invariant = is_batch_invariant
        self.n_ctx, self.n_batch, self.n_sequences, self.n_outputs = n_ctx, n_batch, n_sequences, n_outputs
        self.cells: list[tuple[int, int, set[int]]] = []
        self.prefixes: dict[int, list[int]] = {}  # row → the text it ends, where its logits were wanted
        self.n_steps = self.n_batch_tokens = 0
        self.row_counts: list[int] = []
        self.interruptions: Iterator[bool] = itertools.repeat(False)
        self.may_run = True

    def tokens(self, sequence: int) -> list[int]:
        held = sorted((position, token) for position, token, holders in self.cells if sequence in holders)
        assert [position for position, _ in held] == list(range(len(held))), "a sequence with a gap"
        return [token for _, token in held]

    def run(self, batch: FakeBatch) -> None:
        assert 0 < len(batch) <= self.n_batch
        assert sum(wanted for *_, wanted in batch.rows) <= self.n_outputs
        if next(self.interruptions) or not self.may_run:
            raise DecodeAborted
        if len(self.cells) + len(batch) > self.n_ctx:
            raise NoRoom("no cells are left")
        self.prefixes = {}
        lengths = {sequence: len(self.tokens(sequence)) for _, _, sequence, _ in batch.rows}
        for row, (token, position, sequence, wanted) in enumerate(batch.rows):
            assert position == lengths[sequence], "a token at a wrong place"
            lengths[sequence] += 1
            self.cells.append((position, token, {sequence}))
            if wanted:
                self.prefixes[row] = self.tokens(sequence)
        self.n_steps += 1
        self.n_batch_tokens += len(batch)
        self.row_counts.append(len(batch))

    def abort(self) -> None:
        self.may_run = False

    def allow(self) -> None:
        self.may_run = True

    def copy(self, source: int, target: int, n_tokens: int) -> None:
        assert not self.tokens(target), "a copy into a sequence that is not empty"
        for position, _, holders in self.cells:
            if source in holders and position < n_tokens:
                holders.add(target)

    def forget(self, sequence: int, position: int = 0) -> None:
        for at, _, holders in self.cells:
            if at >= position:
                holders.discard(sequence)
        self.cells = [cell for cell in self.cells if cell[2]]

    def clear(self) -> None:
        self.cells = []

    def state(self, sequence: int) -> np.ndarray:
        return np.array([[token] * BYTES_A_TOKEN for token in self.tokens(sequence)], np.uint8).reshape(-1)

    def restore(self, sequence: int, state: object) -> bool:
        tokens = np.frombuffer(state, np.uint8)[::BYTES_A_TOKEN].tolist()
        assert not self.tokens(sequence)
        if len(self.cells) + len(tokens) > self.n_ctx:
            return False
        self.cells += [(position, token, {sequence}) for position, token in enumerate(tokens)]
        return True


class HashSampler:
    """Chooses by the hash of what the context holds, and checks that this is the reply's own text."""

    n_open = 0

    def __init__(self, request: Request) -> None:
        self._is_open = True
        HashSampler.n_open += 1

    def sample(self, context: FakeContext, index: int, history: Sequence[int]) -> Chosen:
        assert context.prefixes[index] == list(history), "logits of another text"
        return Chosen(next_token(history))

    def close(self) -> None:
        HashSampler.n_open -= self._is_open
        self._is_open = False


class Letters:
    """A token is a letter."""

    n_tokens = N_TOKENS

    def piece(self, token: int, *, special: bool = False) -> bytes:
        return bytes([48 + token]) if token != END else b""

    def ends_generation(self, token: int) -> bool:
        return token == END


def spelt(tokens: Sequence[int]) -> str:
    return b"".join(Letters().piece(token) for token in tokens).decode()


class SchedulerHarness:
    """A core over a fake context, and readers for it."""

    def __init__(
        self, context: FakeContext, budget: int = 10_000, speculation: object = None, snapshots: object = None
    ) -> None:
        self.now = 0.0
        self.context = context
        self.host_cache = HostKVCache(budget)
        scheduler = Scheduler(
            context, HashSampler, self.host_cache, bytes_per_token=BYTES_A_TOKEN, clock=lambda: self.now
        )
        self.core = EngineCore(
            context, Letters(), scheduler, FakeBatch(), speculation=speculation, clock=lambda: self.now
        )
        self.slots = scheduler.slots
        self.sequences: list[ReplySequence] = []
        self.texts: dict[ReplySequence, str] = {}
        self.ends: dict[ReplySequence, Finished] = {}
        self.tokens: dict[ReplySequence, list[int]] = {}

    def ask(self, tokens: Sequence[int], **options: object) -> ReplySequence:
        options = {"temperature": 1.0, "repeat_penalty": 1.0, "max_tokens": 12} | options
        sequence = ReplySequence(Request(list(tokens), Sampling(**options)), OutputQueue(), clock=lambda: self.now)
        sequence.serial = len(self.sequences)
        self.sequences.append(sequence)
        self.texts[sequence] = ""
        self.tokens[sequence] = []
        self.core.scheduler.add(sequence)
        return sequence

    def listen(self, sequence: ReplySequence, most: int = 1 << 30) -> None:
        """Read what is there for a sequence, but at most so many pieces."""
        while most and sequence not in self.ends and sequence.output._items.qsize():
            item = sequence.output.get()
            if isinstance(item, TextDelta):
                self.texts[sequence] += item.text
                self.tokens[sequence] += item.tokens
            else:
                self.ends[sequence] = item
                if item.last:
                    self.tokens[sequence] += item.last.tokens
                    assert self.tokens[sequence] == sequence.tokens
            most -= 1

    def seconds(self, sequence: ReplySequence) -> float:
        """Seconds from the request to its end."""
        return self.ends[sequence].last.progress.seconds

    def step(self, listens: Callable[[ReplySequence], bool] = lambda _: True) -> bool:
        self.now += 0.01
        worked = self.core.step()
        for sequence in self.sequences:
            if listens(sequence):
                self.listen(sequence)
        self.check()
        return worked

    def run(self, most: int = 10_000) -> None:
        """Step until all have ended."""
        for _ in range(most):
            if not self.core.has_work:
                return
            self.step()
        raise AssertionError(f"no end after {most} steps")

    def check(self) -> None:
        """The books agree with what the context holds."""
        for slot in self.slots.all:
            assert self.context.tokens(slot.number) == slot.tokens
            assert len(slot.cells) == len(slot.tokens)
        assert self.slots.n_free_cells == self.context.n_ctx - len(self.context.cells)
        assert self.host_cache.n_bytes <= self.host_cache.budget
        busy = [sequence.slot for sequence in self.core.scheduler.running]
        assert len({id(slot) for slot in busy}) == len(busy) == sum(slot.is_busy for slot in self.slots.all)
