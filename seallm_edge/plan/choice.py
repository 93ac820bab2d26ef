"""`make_plan`: the plan with the largest default context that fits in free memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from ..gguf_file import Header
from ..machine import Gpu, Machine
from .estimate import estimate
from .explain import reasons, warnings
from .memory import HEADROOM_BYTES, MIN_CONTEXT
from .options import LoadOptions, Measured
from .refusal import refusal
from .result import Plan

USUAL_CONTEXT = 8_192
MAX_DEFAULT_PREFIX_CACHE = 1 << 30
# Models whose other operations, such as norms, llama.cpp computes for each token alone, and dimensions of heads that
# our attention takes in every CPU variant.
_INVARIANT_ARCHITECTURES = ("llama", "qwen2")
_INVARIANT_HEAD_DIMS = (64, 96, 128, 256)


def make_plan(
    header: Header,
    machine: Machine,
    options: LoadOptions | None = None,
    *,
    gpus: Sequence[Gpu] = (),
    tuned: Measured | None = None,
    kernel_types: frozenset[str] = frozenset(),
) -> Plan:
    """Plan for a model on a machine, by `options`, else by the `tuned` settings, else by defaults.

    The prefix cache takes at most a quarter of the free memory. `kernel_types` are the weight types for which there are
    kernels of our own: they are fast without repacking, and a model with no others is not repacked. Raises
    InvalidOption; NotEnoughMemory, whose hint names the nearest choice that fits.
    """
    asked = (options or LoadOptions()).checked(header, gpus)
    chosen = _with_measured(asked, tuned, gpus) if tuned else asked
    if chosen.repack is None:
        chosen = replace(chosen, repack=not _has_kernels(header, kernel_types))
    n_threads = chosen.threads or machine.threads
    contexts = [chosen.context] if chosen.context else _contexts(header)
    plans = [estimate(header, gpus, chosen, n_ctx, n_threads) for n_ctx in contexts]
    free = machine.memory_available
    fitting = [plan for plan in plans if plan.main_bytes + HEADROOM_BYTES <= free]
    if not fitting and not asked.force:
        raise refusal(header, machine, gpus, chosen, plans[-1])
    plan = (fitting or plans[-1:])[0]
    plan = replace(
        plan,
        prefix_cache_bytes=_prefix_cache(asked.prefix_cache, plan.main_bytes, free),
        is_batch_invariant=_is_batch_invariant(plan, header, kernel_types),
    )
    return replace(
        plan,
        reasons=tuple(reasons(plan, plans[0], header, machine, gpus, asked, tuned)),
        warnings=tuple(warnings(plan, header, machine, asked)),
    )


def _with_measured(asked: LoadOptions, tuned: Measured, gpus: Sequence[Gpu]) -> LoadOptions:
    return replace(
        asked,
        threads=asked.threads or tuned.threads,
        n_batch=asked.n_batch or tuned.n_batch,
        repack=tuned.repack if asked.repack is None else asked.repack,
        gpu_layers=_layers(asked, tuned, gpus),
    )


def _layers(asked: LoadOptions, tuned: Measured, gpus: Sequence[Gpu]) -> int | Literal["auto"]:
    if asked.gpu_layers != "auto" or tuned.gpu_layers is None or not gpus or any(gpu.problem for gpu in gpus):
        return asked.gpu_layers
    return tuned.gpu_layers


def _has_kernels(header: Header, kernel_types: frozenset[str]) -> bool:
    """Whether all matrices have types of `kernel_types`."""
    return {tensor.type_name for tensor in header.tensors if len(tensor.shape) > 1} <= kernel_types


def _is_batch_invariant(plan: Plan, header: Header, kernel_types: frozenset[str]) -> bool:
    """Whether all that a batch has in common is computed by kernels of our own: matrix multiplication and attention."""
    return (
        header.architecture in _INVARIANT_ARCHITECTURES
        and _has_kernels(header, kernel_types)
        and all(len(tensor.shape) <= 2 for tensor in header.tensors)  # no experts
        and header.dimensions.head_dim == header.dimensions.value_dim in _INVARIANT_HEAD_DIMS
        and (plan.cache_type_k, plan.cache_type_v) == ("f16", "f16")
        and plan.flash_attention is True
        and not plan.repack
        and not plan.gpu_layers
    )


def _contexts(header: Header) -> list[int]:
    """Contexts to try, in tokens: 8,192 or the model's maximum if that is less, then halves down to 2,048."""
    sizes = [min(header.context_length or USUAL_CONTEXT, USUAL_CONTEXT)]
    while sizes[-1] // 2 >= MIN_CONTEXT:
        sizes.append(sizes[-1] // 2)
    return sizes


def _prefix_cache(asked: int | None, needed: int, free: int) -> int:
    """Bytes of the prefix cache: an eighth of the memory that the model leaves free, or `asked` within the limits."""
    left = max(free - needed - HEADROOM_BYTES, 0)
    if asked is None:
        return min(left // 8, MAX_DEFAULT_PREFIX_CACHE)
    return min(asked, left, free // 4)
