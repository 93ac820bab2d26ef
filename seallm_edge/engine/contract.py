"""What `SeaLLM` asks of an engine, and what an engine asks of its parts: the contracts, without any implementation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from ..drafting import Draft, Drafted
from ..native.batch import Batch
from ..native.context import State
from ..native.sampler import Chosen, Constraint
from ..reply import TokenLogprob
from ..sampling import Sampling
from .output_queue import Feed


class Vocabulary(Protocol):
    """Text to token ids and back; `seallm_edge.native.model.Vocabulary` is the real one."""

    n_tokens: int
    add_bos: bool
    bos: int

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of `text`; names of control tokens stand for them only with `special`."""

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of one token."""

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """The bytes of `tokens`, in order."""

    def ends_generation(self, token: int) -> bool:
        """Whether `token` ends a reply."""

    def control_token(self, name: str) -> int | None:
        """The id of the one token spelt `name`, if there is one."""


@dataclass(frozen=True)
class About:
    """What talking to a model takes to know: sizes in tokens, and bytes of KV memory a token."""

    name: str
    chats: bool
    default_system: str
    sampling: Sampling
    n_ctx: int
    longest_context: int
    bytes_per_token: int


@dataclass(frozen=True)
class Request:
    """What is asked for: the prompt's `tokens`, how to choose the next ones, and what they must look like."""

    tokens: Sequence[int]
    sampling: Sampling
    constraint: Constraint | None = None


class Ticket(Protocol):
    """One reply under way, as its reader sees it. What it lists grows; what is there does not change."""

    feed: Feed
    tokens: list[int]
    data: bytearray
    logprobs: list[TokenLogprob]
    cached_tokens: int
    prompt_seconds: float

    @property
    def tokens_per_step(self) -> float:
        """How many tokens a step brings."""

    @property
    def drafting_gain(self) -> float:
        """How many times as fast it is written as without guesses."""


class Engine(Protocol):
    """Something that writes replies: `LlamaEngine`, or `ScriptedEngine` in tests of an app.

    Any thread may call anything.
    """

    about: About

    @property
    def is_loaded(self) -> bool:
        """Whether it could write at once; else it loads first."""

    def vocabulary(self) -> AbstractContextManager[Vocabulary]:
        """The vocabulary, for a short piece of work. Raises EngineError after `close()`."""

    def submit(self, request: Request) -> Ticket:
        """Begin a reply. Returns at once; the reply comes through the ticket's feed. Raises EngineError after
        `close()`.
        """

    def close(self) -> None:
        """End what is being written with an error, and free everything. Safe twice."""


class Speculation(Protocol):
    """Guesses next tokens, and decides how many of them a step checks; `seallm_edge.drafting.Speculator` is the real
    one. Guesses change when a text comes, never which.
    """

    def draft(self, replies: Sequence[Drafted], most: Sequence[int], n_rows: int, room: int) -> list[Draft]:
        """Guesses for each of `replies`, at most `most` of them, and `room` in all, beside `n_rows` rows without."""

    def note_step(self, n_rows: int, seconds: float) -> None:
        """A step of `n_rows` rows, all of them of replies, took so long."""

    def note_tokens(self, n_replies: int, n_rows: int, n_tokens: int) -> None:
        """And `n_replies` replies got `n_tokens` tokens by it."""

    def note_checked(self, draft: Draft, n_right: int) -> None:
        """The first `n_right` guesses were right, and the one after them, if there is one, was not."""

    def plain_seconds(self, n_rows: int, n_guesses: int, seconds: float) -> float:
        """What a step of `n_rows` rows, which took `seconds`, would have taken without its guesses."""

    def close(self) -> None:
        """The model is unloaded: free what guessing holds. It may be loaded again."""


class NoSpeculation:
    """Never guesses."""

    def draft(self, replies: Sequence[Drafted], most: Sequence[int], n_rows: int, room: int) -> list[Draft]:
        """Nothing."""
        return [Draft()] * len(replies)

    def note_step(self, n_rows: int, seconds: float) -> None:
        """Learns nothing."""

    def note_tokens(self, n_replies: int, n_rows: int, n_tokens: int) -> None:
        """Learns nothing."""

    def note_checked(self, draft: Draft, n_right: int) -> None:
        """Learns nothing."""

    def plain_seconds(self, n_rows: int, n_guesses: int, seconds: float) -> float:
        """What it took."""
        return seconds

    def close(self) -> None:
        """Holds nothing."""


Speculate = Callable[[Any], Speculation]  # from a loaded model's vocabulary; asked again at each load


def no_speculation(_: Any) -> Speculation:
    """For engines that never guess."""
    return NoSpeculation()


class Sampler(Protocol):
    """Chooses the tokens of one reply; `seallm_edge.native.sampler.Sampler` is the real one."""

    def sample(self, context: Any, index: int, history: Sequence[int]) -> Chosen:
        """The next token, from the logits at row `index` of the last step; `history` is all tokens so far."""

    def close(self) -> None:
        """Free it. Safe twice."""


class Context(Protocol):
    """What the scheduler asks of the native context; see `seallm_edge.native.context.Context`."""

    n_ctx: int
    n_batch: int
    n_outputs: int
    n_sequences: int

    def run(self, batch: Batch) -> None:
        """One step."""

    def allow(self) -> None:
        """Let steps run after an abort."""

    def copy(self, source: int, target: int, n_tokens: int) -> None:
        """Share cells."""

    def forget(self, sequence: int, position: int = 0) -> None:
        """Drop cells."""

    def clear(self) -> None:
        """Drop all cells, and begin with the first one again."""

    def state(self, sequence: int) -> State:
        """The KV of a sequence as bytes."""

    def restore(self, sequence: int, state: State) -> bool:
        """Fill a sequence from bytes."""
