"""`Loaded`: weights, context and scheduler of a model that is in memory, and how they come and go together."""

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
from .core import Scheduler
from .kv.host_cache import Shelf
from .scheduler import Lineup


class Loaded:
    """Made by any thread, used by the worker alone, but for the vocabulary."""

    def __init__(
        self, model: Model, context: Context, shelf: Shelf, bytes_per_token: int, speculation: Speculation
    ) -> None:
        self.context = context
        self.vocabulary = model.vocabulary
        self.is_progressing = False
        self._model = model
        self._shelf = shelf
        self._speculation = speculation
        lineup = Lineup(context, _sampler, shelf, bytes_per_token=bytes_per_token)
        self.scheduler = Scheduler(context, model.vocabulary, lineup, Batch(context.n_batch), speculation=speculation)

    @property
    def has_unsaved(self) -> bool:
        """Whether a sequence waits for a quiet moment to be written to disk."""
        return self.scheduler.lineup.has_unsaved

    def save_idle(self, since: float) -> None:
        """Write to disk what was not used since then."""
        self.scheduler.lineup.save_idle(since)

    def close(self) -> None:
        """Put what is decoded on the shelf, and free the native memory. Nothing may be running."""
        try:
            self.scheduler.lineup.shelve_all()
        finally:
            self.context.close()
            self._model.close()
            self._speculation.close()
            give_back_freed()


def load(
    path: Path,
    plan: Plan,
    shelf: Shelf,
    *,
    bytes_per_token: int,
    speculate: Speculate,
    on_progress: Callable[[float], None] | None = None,
) -> Loaded:
    """Load a model as `plan` says; what `speculate` makes of its vocabulary guesses. Raises EngineError if llama.cpp
    fails.
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
    return Loaded(model, context, shelf, bytes_per_token, speculation)


def _sampler(request: Request) -> Sampler:
    return Sampler(request.sampling, request.constraint)
