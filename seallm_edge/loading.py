"""From a model's name to an engine: the file found, its header checked, a plan made, backends and weights loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import paths
from .catalogue.cards import match_header
from .catalogue.chatting import chatting
from .catalogue.sampling_defaults import sampling_defaults
from .drafting import DraftModel, ModelDrafting, StepCosts, TextDrafting, Vocabulary, saved_costs
from .engine import ModelInfo, Speculate, no_speculation
from .engine.kv.snapshots import Snapshots, snapshot_key
from .engine.llama import LlamaEngine
from .errors import InvalidOption
from .gguf_file import Header, fingerprint, read_header
from .machine import this_machine
from .native.backends import load_backends
from .plan import Plan, make_plan
from .plan.memory import n_cells
from .store import locate
from .tuning import saved_settings

logger = logging.getLogger("seallm_edge")


def plan_for(model: str | Path, **options: Any) -> tuple[Header, Plan]:
    """The checked header of a model and the plan for it here; `options` are those of `make_plan`. Loads no weights.

    Raises ModelNotFound, ModelFileError, NotEnoughMemory, InvalidOption or EngineError.
    """
    header = read_header(locate(model))
    tuned = saved_settings.find(fingerprint(header))
    backends = load_backends(prefer=tuned.variant if tuned else "")
    plan = make_plan(header, this_machine(), gpus=backends.gpus, tuned=tuned, row_types=backends.row_types, **options)
    for warning in plan.warnings:
        logger.warning("%s: %s", header.path.name, warning)
    return header, plan


def load_engine(
    header: Header,
    plan: Plan,
    *,
    drafting: str | Path = "auto",
    snapshots: bool | str | Path = False,
    keep_alive: float | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> LlamaEngine:
    """The engine of a plan. `drafting` is "auto", "off", or a model that drafts; `snapshots` a folder for KV states, or
    True for the usual one; `keep_alive` in seconds.

    Raises InvalidOption or EngineError.
    """
    if keep_alive is not None and not 0 <= keep_alive < 1e9:
        raise InvalidOption(f"keep_alive is {keep_alive}", "give seconds from 0 up, or None to keep the model loaded")
    folder = paths.snapshots_dir() if snapshots is True else Path(snapshots).expanduser() if snapshots else None
    return LlamaEngine(
        header.path,
        plan,
        _model_info(header, plan),
        snapshots=Snapshots(folder, _key(header, plan)) if folder else None,
        keep_alive=keep_alive,
        speculate=_speculate(drafting, header, plan),
        on_progress=on_progress,
    )


def _speculate(drafting: str | Path, header: Header, plan: Plan) -> Speculate:
    """What makes the guesses for a model that is run by `plan`, once its vocabulary is known."""
    if drafting == "off":
        return no_speculation
    if not drafting or not isinstance(drafting, str | Path):
        raise InvalidOption(f"drafting is {drafting!r}", 'give "auto", "off", or a smaller model that guesses')
    path = None if drafting == "auto" else locate(drafting)
    model = fingerprint(header)
    costs = StepCosts(saved_costs.find(model, plan))

    def keep() -> None:
        saved_costs.keep(model, plan, costs.to_remember())

    if path is None:
        return TextDrafting(costs, keep)

    def load(vocabulary: Vocabulary) -> DraftModel:
        header, own = plan_for(path, context=plan.n_ctx, threads=plan.threads, prefix_cache=0)
        return DraftModel(header.path, own, vocabulary)

    return ModelDrafting(load, costs, keep)


def _model_info(header: Header, plan: Plan) -> ModelInfo:
    card = match_header(header)
    chat = chatting(header, card)
    return ModelInfo(
        name=card.name if card else header.name,
        is_chat_model=chat.is_chat_model,
        default_system=card.default_system if card else "",
        sampling=sampling_defaults(header, card),
        n_ctx=plan.n_ctx,
        max_context=header.context_length,
        bytes_per_token=plan.kv_bytes // n_cells(plan.n_ctx),
        chat_format=chat.format,
    )


def _key(header: Header, plan: Plan) -> str:
    return snapshot_key(
        fingerprint(header),
        kv_types=(plan.cache_type_k, plan.cache_type_v),
        build=load_backends().version,
        flash_attention=plan.flash_attention is not False,
    )
