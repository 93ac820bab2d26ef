"""`Loaded`: weights, context and engine core of a model that is in memory: loaded and freed together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ..native.batch import Batch
from ..native.context import Context
from ..native.model import Model
from ..native.pages import give_back_freed
from ..native.sampler import Sampler
from ..plan import Plan
from .contract import Request, Speculate, Speculation
from .core import EngineCore
from .kv.host_cache import HostKVCache
from .scheduler import Scheduler


class Loaded:
    """Model in memory. Made by any thread; used by the worker's alone, but for the vocabulary."""

    def __init__(
        self, model: Model, context: Context, host_cache: HostKVCache, bytes_per_token: int, speculation: Speculation
    ) -> None:
        self.context = context
        self.vocabulary = model.vocabulary
        self.is_progressing = False
        self._model = model
        self._host_cache = host_cache
        self._speculation = speculation
        scheduler = Scheduler(context, _sampler, host_cache, bytes_per_token=bytes_per_token)
        self.core = EngineCore(context, model.vocabulary, scheduler, Batch(context.n_batch), speculation=speculation)

    @property
    def has_unsaved(self) -> bool:
        """Whether an idle sequence has no snapshot yet."""
        return self.core.scheduler.has_unsaved

    def save_idle(self, since: float) -> None:
        """Snapshot sequences last used before `since` (seconds)."""
        self.core.scheduler.save_idle(since)

    def close(self) -> None:
        """Offload cached sequences, then free native memory. Nothing may be running."""
        try:
            self.core.scheduler.offload_all()
        finally:
            self.context.close()
            self._model.close()
            self._speculation.close()
            give_back_freed()


def load(
    path: Path,
    plan: Plan,
    host_cache: HostKVCache,
    *,
    bytes_per_token: int,
    speculate: Speculate,
    on_progress: Callable[[float], None] | None = None,
) -> Loaded:
    """Load weights and context as `plan` says. `speculate` makes the speculation from the vocabulary. Raises
    EngineError if llama.cpp fails.
    """
    with ExitStack() as undo:
        model = Model(path, n_gpu_layers=plan.gpu_layers, repack=plan.repack, on_progress=on_progress)
        undo.callback(model.close)
        context = Context(
            model,
            n_ctx=plan.n_ctx,
            n_batch=plan.n_batch,
            n_threads=plan.threads,
            n_sequences=plan.n_sequences,
            n_outputs=plan.n_outputs,
            cache_type_k=plan.cache_type_k,
            cache_type_v=plan.cache_type_v,
            flash_attention=plan.flash_attention,
        )
        undo.callback(context.close)
        speculation = speculate(model.vocabulary)
        undo.pop_all()
    return Loaded(model, context, host_cache, bytes_per_token, speculation)


def _sampler(request: Request) -> Sampler:
    return Sampler(request.sampling, request.constraint)
