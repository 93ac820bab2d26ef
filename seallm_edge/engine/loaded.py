"""`Loaded`: weights, context and engine core of a model that is in memory: loaded and freed together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ..native.batch import Batch
from ..native.context import Context
from ..native.model import Model
from ..native.pages import release_freed
from ..native.sampler import Sampler
from ..plan import Plan
from .contract import Request, Speculation
from .core import EngineCore
from .forced import ForcedSampler
from .kv.host_cache import HostKVCache
from .scheduler import Scheduler
from .sequence import ReplySequence
from .stats import Counters, EngineStats


class Loaded:
    """Model in memory. Made by any thread; used by the worker's alone, but for the vocabulary."""

    def __init__(
        self,
        model: Model,
        context: Context,
        host_cache: HostKVCache,
        bytes_per_token: int,
        speculation: Speculation,
        counters: Counters,
    ) -> None:
        self.vocabulary = model.vocabulary
        self.is_progressing = False
        self._model = model
        self._context = context
        self._speculation = speculation
        self._scheduler = Scheduler(context, _sampler, host_cache, bytes_per_token=bytes_per_token)
        self._core = EngineCore(
            context,
            model.vocabulary,
            self._scheduler,
            Batch(context.n_batch),
            speculation=speculation,
            counters=counters,
        )

    @property
    def has_work(self) -> bool:
        """Whether any request waits or runs."""
        return self._core.has_work

    def submit(self, sequence: ReplySequence) -> None:
        """Queue a sequence."""
        self._scheduler.add(sequence)
        self.is_progressing = True

    def step(self) -> bool:
        """Run one step; False if nothing could be decoded."""
        self.is_progressing = self._core.step()
        return self.is_progressing

    def fail(self, error_for: Callable[[], Exception]) -> None:
        """End every request with an error."""
        self._core.fail(error_for)
        self.is_progressing = False

    def abort(self, sequence: ReplySequence | None = None) -> None:
        """Abort the step under way; with `sequence`, only if it prefills its prompt. Any thread may call it."""
        if sequence is None or sequence in self._core.prefilling:
            self._context.abort()

    def stats(self) -> EngineStats:
        """Requests, cells and totals now. Any thread may ask."""
        return self._core.stats()

    @property
    def has_unsaved(self) -> bool:
        """Whether an idle sequence has no snapshot yet."""
        return self._scheduler.cache.has_unsaved

    def save_idle(self, since: float) -> None:
        """Snapshot sequences last used before `since` (seconds)."""
        self._scheduler.cache.save_idle(since)

    @property
    def n_ctx(self) -> int:
        """Tokens that fit in the context."""
        return self._context.n_ctx

    def take_all(self) -> list[ReplySequence]:
        """All requests, taken out as they are: another model like this one can go on with them."""
        return self._scheduler.take_all()

    def close(self, *, keeps_states: bool = True) -> None:
        """Offload cached sequences, unless their states are of no use any more, then free native memory. Nothing may be
        running. Raises GpuFailed, with the memory freed.
        """
        try:
            if keeps_states:
                self._scheduler.cache.offload_all()
        finally:
            self._context.close()
            self._model.close()
            self._speculation.detach()
            release_freed()


def load(
    path: Path,
    plan: Plan,
    host_cache: HostKVCache,
    *,
    bytes_per_token: int,
    speculation: Speculation,
    counters: Counters,
    on_progress: Callable[[float], None] | None = None,
) -> Loaded:
    """Load weights and context as `plan` says. `speculation` is attached to it. Raises EngineError if llama.cpp
    fails.
    """
    with ExitStack() as undo:
        model = Model(path, n_gpu_layers=plan.gpu_layers, gpus=plan.gpus, repack=plan.repack, on_progress=on_progress)
        undo.callback(model.close)
        context = planned_context(model, plan)
        undo.callback(context.close)
        speculation.attach(model.vocabulary)
        undo.pop_all()
    return Loaded(model, context, host_cache, bytes_per_token, speculation, counters)


def planned_context(model: Model, plan: Plan) -> Context:
    """Context of a model as its plan says. Raises EngineError if llama.cpp fails."""
    return Context(
        model,
        n_ctx=plan.n_ctx,
        n_batch=plan.n_batch,
        n_threads=plan.threads,
        n_sequences=plan.n_sequences,
        n_outputs=plan.n_outputs,
        cache_type_k=plan.cache_type_k,
        cache_type_v=plan.cache_type_v,
        flash_attention=plan.flash_attention,
        is_batch_invariant=plan.is_batch_invariant,
    )


def _sampler(request: Request) -> Sampler | ForcedSampler:
    sampler = Sampler(request.sampling, request.constraint)
    return ForcedSampler(sampler, len(request.tokens), request.forced) if request.forced else sampler
