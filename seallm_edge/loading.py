"""Loading of a model: `resolve` finds the file, checks it and makes its plan; `load_engine` loads it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import paths
from .catalogue.cards import Card, match_header
from .catalogue.chatting import Chatting, chatting
from .catalogue.sampling_defaults import sampling_defaults
from .drafting import DraftModel, ModelDrafting, Speculator, StepCosts, TextDrafting, Vocabulary, saved_costs
from .engine import ModelInfo, NoSpeculation, Speculation
from .engine.kv.snapshots import Snapshots, snapshot_key
from .engine.llama import LlamaEngine
from .engine.loader import Loader, Setup
from .errors import EngineError, NotEnoughMemory
from .gguf_file import Header, fingerprint, read_header
from .machine import Gpu, this_machine
from .native import gpu_speed
from .native.backends import load_backends
from .native.gpu_attention import with_flash_attention
from .plan import LoadOptions, Plan, make_plan
from .plan.estimate import USUAL_KV_TYPE
from .plan.memory import n_cells
from .store import check_recorded, locate, mark_used
from .tuning import saved_settings
from .tuning.saved_settings import Tuned

logger = logging.getLogger("seallm_edge")


@dataclass(frozen=True)
class LoadTarget:
    """Resolved model: its checked header, fingerprint, card (if one matches), chat format, and plan; and the GPUs that
    the plan could choose from.
    """

    header: Header
    fingerprint: str
    card: Card | None
    chatting: Chatting
    plan: Plan
    gpus: tuple[Gpu, ...] = ()

    @property
    def name(self) -> str:
        """The card's name, else the file's own."""
        return self.card.name if self.card else self.header.name

    def info(self) -> ModelInfo:
        """Facts of the model for prompts and options."""
        return ModelInfo(
            name=self.name,
            is_chat_model=self.chatting.is_chat_model,
            default_system=self.card.default_system if self.card else "",
            sampling=sampling_defaults(self.header, self.card),
            n_ctx=self.plan.n_ctx,
            max_context=self.header.context_length,
            bytes_per_token=self.plan.kv_bytes // n_cells(self.plan.n_ctx),
            chat_format=self.chatting.format,
        )

    def snapshot_key(self) -> str:
        """Key of the KV states that this model, loaded by this plan, can restore: those of the same code, which rounds
        alike, on the same processor or GPUs.
        """
        plan, backends = self.plan, load_backends()
        return snapshot_key(
            self.fingerprint,
            kv_types=(plan.cache_type_k, plan.cache_type_v),
            build=backends.version,
            flash_attention=plan.flash_attention is not False,
            settings=(backends.variant, sorted(backends.kernel_types), plan.repack, plan.gpu_layers, plan.gpus),
        )


def resolve(model: str | Path, options: LoadOptions | None = None) -> LoadTarget:
    """Resolve a model's name or path once, without loading its weights.

    Raises ModelNotFound, ModelFileError, NotEnoughMemory, InvalidOption or EngineError.
    """
    header = read_header(locate(model))
    identity, card = fingerprint(header), match_header(header)
    check_recorded(header, identity)
    tuned = saved_settings.find(identity)
    gpus = load_backends(prefer=tuned.variant if tuned else "").gpus
    if (options or LoadOptions()).gpu_layers == "auto":
        gpus = gpu_speed.compared(gpus, header, identity)
    gpus = _with_flash_attention(gpus, header, options or LoadOptions())
    plan = _planned(header, tuned, options, gpus)
    for warning in plan.warnings:
        logger.warning("%s: %s", header.path.name, warning)
    return LoadTarget(header, identity, card, chatting(header, card), plan, gpus)


def _with_flash_attention(gpus: Sequence[Gpu], header: Header, options: LoadOptions) -> tuple[Gpu, ...]:
    keys, values = (str(asked or USUAL_KV_TYPE).lower() for asked in (options.cache_type_k, options.cache_type_v))
    return with_flash_attention(gpus, header.dimensions, keys, values)


def _planned(header: Header, tuned: Tuned | None, options: LoadOptions | None, gpus: Sequence[Gpu]) -> Plan:
    kernel_types = load_backends().kernel_types
    return make_plan(header, this_machine(), options, gpus=gpus, tuned=tuned, kernel_types=kernel_types)


def load_engine(
    target: LoadTarget, options: LoadOptions, on_progress: Callable[[float], None] | None = None
) -> LlamaEngine:
    """Load a resolved model. `on_progress` gets a share from 0 to 1. Raises InvalidOption, NotEnoughMemory or
    EngineError.

    Where the plan chose the layers on the GPUs and these do not take them, fewer are tried, then none, with a warning:
    other programs take the memory of a GPU too. The engine's `plan` is the one that worked.
    """
    try:
        return _loaded(target, options, on_progress)
    except EngineError as error:
        n_layers = target.plan.gpu_layers
        if not n_layers or options.gpu_layers != "auto":
            raise
        fewer = _with_fewer_layers(target, options, error)
        logger.warning(
            "%s: the GPU did not take %d layers (%s); trying %d",
            target.header.path.name, n_layers, error.message, fewer.plan.gpu_layers,
        )  # fmt: skip
        return load_engine(fewer, options, on_progress)


def _with_fewer_layers(target: LoadTarget, options: LoadOptions, error: EngineError) -> LoadTarget:
    """The same model with the layers for half of the GPUs' memory; with none where those would be no fewer."""
    tuned = saved_settings.find(target.fingerprint)
    halved = tuple(replace(gpu, memory_free=gpu.memory_free // 2) for gpu in target.gpus)
    plan = _planned(target.header, tuned, options, halved)
    if not 0 < plan.gpu_layers < target.plan.gpu_layers:
        plan = _planned(target.header, tuned, options, _refused(target, error))
    return replace(target, plan=plan, gpus=halved)


def _refused(target: LoadTarget, error: EngineError) -> tuple[Gpu, ...]:
    """The GPUs, those that the plan uses with the problem that they have."""
    used = target.plan.gpus
    return tuple(replace(gpu, problem=error.message) if gpu.name in used else gpu for gpu in target.gpus)


def _loaded(target: LoadTarget, options: LoadOptions, on_progress: Callable[[float], None] | None) -> LlamaEngine:
    mark_used(target.header.path)

    def without_gpu(error: EngineError) -> Setup:
        nonlocal target  # one GPU may fail after another
        target = _without_gpu(target, options, error)
        return _setup(target, options)

    loader = Loader(target.header.path, _setup(target, options), without_gpu)
    return LlamaEngine(loader, keep_alive=options.keep_alive, on_progress=on_progress)


def _setup(target: LoadTarget, options: LoadOptions) -> Setup:
    folder = _snapshots_folder(options.snapshots)
    snapshots = Snapshots(folder, target.snapshot_key()) if folder else None
    return Setup(target.plan, target.info(), _speculation(options.drafting, target), snapshots)


def _without_gpu(target: LoadTarget, options: LoadOptions, error: EngineError) -> LoadTarget:
    """The same model without the GPUs that failed: with the same context, or a smaller one where the memory wants that.
    They are left alone for the rest of this process, and by other programs for a while.
    """
    for gpu in target.gpus:
        if gpu.name in target.plan.gpus:
            gpu_speed.give_up(gpu, target.fingerprint, error.message)
    tuned, left = saved_settings.find(target.fingerprint), replace(options, gpu_layers="auto")
    gpus = _refused(target, error)
    try:
        plan = _planned(target.header, tuned, replace(left, context=target.plan.n_ctx), gpus)
    except NotEnoughMemory:
        plan = _planned(target.header, tuned, replace(left, context=None), gpus)
    return replace(target, plan=plan, gpus=gpus)


def _snapshots_folder(snapshots: bool | str | Path) -> Path | None:
    if snapshots is True:
        return paths.snapshots_dir()
    return Path(snapshots).expanduser() if snapshots else None


def _speculation(drafting: str | Path, target: LoadTarget) -> Speculation:
    """Speculation for a model: none, by n-grams, or with a draft model. Its step costs are saved for the next run."""
    if drafting == "off":
        return NoSpeculation()
    source = TextDrafting() if drafting == "auto" else ModelDrafting(_draft_model_loader(locate(drafting), target))
    costs = StepCosts(saved_costs.find(target.fingerprint, target.plan))

    def keep() -> None:
        saved_costs.keep(target.fingerprint, target.plan, costs.to_remember())

    return Speculator(source, costs=costs, on_detach=keep)


def _draft_model_loader(path: Path, target: LoadTarget) -> Callable[[Vocabulary], DraftModel]:
    def load(vocabulary: Vocabulary) -> DraftModel:
        plan = target.plan
        own = resolve(path, LoadOptions(context=plan.n_ctx, threads=plan.threads, prefix_cache=0))
        return DraftModel(own.header.path, own.plan, vocabulary)

    return load
