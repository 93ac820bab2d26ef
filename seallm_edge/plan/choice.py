"""`make_plan`: the largest usual context that fits in free memory, and all that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from ..gguf_file import Header
from ..machine import Gpu, Machine
from .memory import ROOM_BYTES, SMALLEST_CONTEXT
from .options import Measured, Options
from .refusal import refusal
from .result import Plan
from .sizes import sized
from .words import reasons, warnings

USUAL_CONTEXT = 8_192
LARGEST_USUAL_PREFIX_CACHE = 1 << 30


def make_plan(
    header: Header,
    machine: Machine,
    *,
    gpus: Sequence[Gpu] = (),
    context: int | None = None,
    threads: int | None = None,
    gpu_layers: int | Literal["auto"] = "auto",
    cache_type_k: str | None = None,
    cache_type_v: str | None = None,
    flash_attention: bool | None = None,
    prefix_cache: int | None = None,
    n_batch: int | None = None,
    repack: bool | None = None,
    force: bool = False,
    tuned: Measured | None = None,
    row_types: frozenset[str] = frozenset(),
) -> Plan:
    """The plan for a model on a machine. None and "auto" choose: what was `tuned`, else what is usual.

    `context` and `n_batch` are in tokens, `prefix_cache` in bytes (0 is off; never more than a quarter of the free
    memory), types are of `KV_TYPES`; `force` plans even what does not fit. `row_types` are the types of weights that
    are fast here as they lie in the file: a model of nothing else is not repacked. Raises InvalidOption;
    NotEnoughMemory, whose hint names the nearest choice that fits.
    """
    asked = Options(
        context, threads, gpu_layers, cache_type_k, cache_type_v, flash_attention, prefix_cache, n_batch, repack, force
    ).checked(header, gpus)
    options = _with_measured(asked, tuned) if tuned else asked
    if options.repack is None:
        options = replace(options, repack=not _is_fast_as_it_lies(header, row_types))
    n_threads = options.threads or machine.threads
    contexts = [options.context] if options.context else _contexts(header)
    plans = [sized(header, gpus, options, n_ctx, n_threads) for n_ctx in contexts]
    free = machine.memory_available
    fitting = [plan for plan in plans if plan.main_bytes + ROOM_BYTES <= free]
    if not fitting and not force:
        raise refusal(header, machine, gpus, options, plans[-1])
    plan = (fitting or plans[-1:])[0]
    plan = replace(plan, prefix_cache_bytes=_prefix_cache(prefix_cache, plan.main_bytes, free))
    return replace(
        plan,
        reasons=tuple(reasons(plan, plans[0], header, machine, asked, tuned)),
        warnings=tuple(warnings(plan, header, machine, asked)),
    )


def _with_measured(asked: Options, tuned: Measured) -> Options:
    return replace(
        asked,
        threads=asked.threads or tuned.threads,
        n_batch=asked.n_batch or tuned.n_batch,
        repack=tuned.repack if asked.repack is None else asked.repack,
    )


def _is_fast_as_it_lies(header: Header, row_types: frozenset[str]) -> bool:
    """Whether all matrices have types of `row_types`."""
    return {tensor.type_name for tensor in header.tensors if len(tensor.shape) > 1} <= row_types


def _contexts(header: Header) -> list[int]:
    """Contexts to try, the usual one first, halved as long as a chat still works."""
    sizes = [min(header.context_length or USUAL_CONTEXT, USUAL_CONTEXT)]
    while sizes[-1] // 2 >= SMALLEST_CONTEXT:
        sizes.append(sizes[-1] // 2)
    return sizes


def _prefix_cache(asked: int | None, needed: int, free: int) -> int:
    """Bytes for the KV of resting conversations: an eighth of what the model leaves, or what is asked for of it."""
    left = max(free - needed - ROOM_BYTES, 0)
    if asked is None:
        return min(left // 8, LARGEST_USUAL_PREFIX_CACHE)
    return min(asked, left, free // 4)
