"""Contracts of the engine: what `SeaLLM` asks of it, and what it asks of its parts. No implementation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from ..drafting import Draft, DraftTarget
from ..errors import EngineError
from ..native.batch import Batch
from ..native.context import State
from ..native.sampler import Chosen, Constraint
from ..plan import Plan
from ..prompt.templates import ChatFormat
from ..sampling import Sampling
from .output_queue import OutputQueue
from .stats import EngineStats


class Vocabulary(Protocol):
    """Tokenizer: text to token ids and back. `seallm_edge.native.model.Vocabulary` is the real one."""

    n_tokens: int
    add_bos: bool
    bos: int

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of `text`. Names of control tokens are parsed as such only with `special`."""

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of one token."""

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """The bytes of `tokens`, in order."""

    def ends_generation(self, token: int) -> bool:
        """Whether `token` is an end-of-generation token."""

    def control_token(self, name: str) -> int | None:
        """Token id of the control token spelt `name`; None if there is none."""


@dataclass(frozen=True)
class ModelInfo:
    """Model facts that prompting takes: context sizes in tokens, and bytes of KV cache a token."""

    name: str
    is_chat_model: bool
    default_system: str
    sampling: Sampling
    n_ctx: int
    max_context: int
    bytes_per_token: int
    chat_format: ChatFormat | None = None  # None: ChatML with `default_system`


@dataclass(frozen=True)
class Request:
    """Generation request: the prompt's `tokens`, sampling options, and the constraint that the output must satisfy.

    `forced` is for benchmarks: tokens that the reply has in place of those that are sampled (teacher forcing). With
    `is_drafted` False its steps verify no draft tokens.
    """

    tokens: Sequence[int]
    sampling: Sampling
    constraint: Constraint | None = None
    forced: Sequence[int] = ()
    is_drafted: bool = True


class RequestHandle(Protocol):
    """Reader's view of a request that is under way: its tokens and text arrive in `output`."""

    output: OutputQueue

    @property
    def prompt_share(self) -> float:
        """Share of the prompt that is prefilled, from 0 to 1. Any thread may ask."""


class Engine(Protocol):
    """Engine that generates replies: `LlamaEngine`, or `ScriptedEngine` in tests of an app. Any thread may call any
    method.
    """

    @property
    def info(self) -> ModelInfo:
        """Facts of the model for prompts and options."""

    @property
    def plan(self) -> Plan | None:
        """How the model is loaded; None for an engine without one."""

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are in memory; if not, the next request loads them first."""

    def vocabulary(self) -> AbstractContextManager[Vocabulary]:
        """The vocabulary, held in memory inside the `with` block. Raises EngineError after `close()`."""

    def submit(self, request: Request) -> RequestHandle:
        """Queue a request and return at once; its text arrives in the handle's output queue. Raises EngineError after
        `close()`.
        """

    def stats(self) -> EngineStats:
        """Requests, cells and totals now."""

    def close(self) -> None:
        """End every running request with an error and free all memory. Safe twice."""


def closed_error() -> EngineError:
    """The error of an engine after `close()`; a new one each time, since raising gathers tracebacks."""
    return EngineError("this model is closed", "load it again with SeaLLM(…)")


class Speculation(Protocol):
    """Speculative decoding: drafts next tokens, decides how many a step verifies. The text does not depend on it.

    `seallm_edge.drafting.Speculator` is the real one.
    """

    def attach(self, vocabulary: Any) -> None:
        """Prepare for a model that was loaded, by its vocabulary. Raises what loading a draft model raises."""

    def detach(self) -> None:
        """Free what drafting holds of a model that is being unloaded, and may be loaded again."""

    def draft(self, replies: Sequence[DraftTarget], most: Sequence[int], n_batch_tokens: int, room: int) -> list[Draft]:
        """A draft for each of `replies`: at most `most[i]` tokens each and `room` in all, beside `n_batch_tokens` other
        batch tokens of the step.
        """

    def record_step(self, n_batch_tokens: int, seconds: float) -> None:
        """Record the `seconds` of a decode-only step of `n_batch_tokens` batch tokens."""

    def record_tokens(self, n_replies: int, n_batch_tokens: int, n_tokens: int) -> None:
        """Record a decode-only step: `n_replies` sequences, `n_batch_tokens` batch tokens, `n_tokens`
        tokens generated.
        """

    def record_verification(self, draft: Draft, n_accepted: int) -> None:
        """Record a verification: the first `n_accepted` draft tokens were accepted, the next one (if
        any) was rejected.
        """

    def baseline_seconds(self, n_batch_tokens: int, n_draft_tokens: int, seconds: float) -> float:
        """Estimated seconds of the same step without its draft tokens: `n_batch_tokens` of them took `seconds`."""


class NoSpeculation:
    """Decoding without draft tokens."""

    def attach(self, vocabulary: Any) -> None:
        """Nothing to prepare."""

    def detach(self) -> None:
        """Nothing to free."""

    def draft(self, replies: Sequence[DraftTarget], most: Sequence[int], n_batch_tokens: int, room: int) -> list[Draft]:
        """Empty drafts."""
        return [Draft()] * len(replies)

    def record_step(self, n_batch_tokens: int, seconds: float) -> None:
        """Ignored."""

    def record_tokens(self, n_replies: int, n_batch_tokens: int, n_tokens: int) -> None:
        """Ignored."""

    def record_verification(self, draft: Draft, n_accepted: int) -> None:
        """Ignored."""

    def baseline_seconds(self, n_batch_tokens: int, n_draft_tokens: int, seconds: float) -> float:
        """`seconds`: nothing was drafted."""
        return seconds


class Sampler(Protocol):
    """Sampler of one sequence; `seallm_edge.native.sampler.Sampler` is the real one."""

    def sample(self, context: Any, index: int, history: Sequence[int]) -> Chosen:
        """Sample the next token from the logits at batch index `index` of the last step; `history` holds all tokens so
        far.
        """

    def close(self) -> None:
        """Free native memory. Safe twice."""


class Context(Protocol):
    """Native context as the engine core uses it; see `seallm_edge.native.context.Context`."""

    n_ctx: int
    n_batch: int
    n_outputs: int
    n_sequences: int
    is_batch_invariant: bool

    def run(self, batch: Batch) -> None:
        """Decode one batch."""

    def allow(self) -> None:
        """Permit decoding again after an abort."""

    def copy(self, source: int, target: int, n_tokens: int) -> None:
        """Share the first `n_tokens` cells of `source` with `target`."""

    def forget(self, sequence: int, position: int = 0) -> None:
        """Drop a sequence's cells from `position` on."""

    def clear(self) -> None:
        """Drop all cells, so that the next token takes the first one."""

    def state(self, sequence: int) -> State:
        """KV state of a sequence as bytes."""

    def restore(self, sequence: int, state: State) -> bool:
        """Fill an empty sequence from a KV state; False if it does not fit."""
