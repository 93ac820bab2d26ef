"""Tuning: which settings run a model fastest on this machine, searched by measuring and kept for next time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..gguf_file import Header
    from .saved_settings import Tuned
    from .search import Settings, SettingsSearch

    OnRound = Callable[[Sequence[Settings], Settings], None]

__all__ = ["keep", "measure", "tune"]


def tune(model: str | Path, *, seconds: float = 30.0, force: bool = False, on_round: OnRound | None = None) -> Tuned:
    """Measure which settings run a model fastest here, and keep them: later loads of it use them.

    `seconds` is about how long to measure; `on_round(candidates, defaults)` is called before each round. Raises
    ModelNotFound, ModelFileError, NotEnoughMemory or EngineError.
    """
    from ..gguf_file import read_header
    from ..store import locate

    header = read_header(locate(model))
    return keep(header, measure(header, seconds=seconds, force=force, on_round=on_round))


def measure(
    header: Header, *, seconds: float = 30.0, force: bool = False, on_round: OnRound | None = None
) -> SettingsSearch:
    """The finished search of a model's fastest settings; nothing is kept. Raises NotEnoughMemory or EngineError."""
    from ..gguf_file import fingerprint
    from ..machine import this_machine
    from ..native import gpu_speed
    from ..native.backends import load_backends
    from ..plan import LoadOptions, make_plan
    from .bench import Load, SpeedBench
    from .candidates import choices, worth_trying
    from .search import Settings, SettingsSearch

    machine, backends = this_machine(), load_backends()
    gpus = gpu_speed.compared(backends.gpus, header, fingerprint(header))
    plan = make_plan(header, machine, LoadOptions(force=force), gpus=gpus, kernel_types=backends.kernel_types)
    most = make_plan(
        header, machine, LoadOptions(force=True), gpus=worth_trying(gpus), kernel_types=backends.kernel_types
    )
    default = Settings(backends.variant, plan.repack, plan.threads, plan.n_batch, plan.gpu_layers)
    load = Load(header.path, plan.weights_bytes, plan.main_bytes, most.gpus)
    with SpeedBench(load) as bench:

        def tell(order: Sequence[Settings]) -> None:
            if on_round:
                on_round(order, default)

        search = SettingsSearch(bench, default, choices(machine, backends, most.gpu_layers), seconds, on_round=tell)
        search.run()
    return search


def keep(header: Header, search: SettingsSearch) -> Tuned:
    """Keep the best settings of a finished search for this model on this machine. Raises StoreError."""
    from ..gguf_file import fingerprint
    from . import saved_settings

    tuned = saved_settings.as_tuned(search)
    saved_settings.keep(fingerprint(header), tuned)
    return tuned
