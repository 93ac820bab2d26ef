"""Plan in words: the reasons for its settings, and warnings about the given options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..files.sizes import readable
from ..gguf_file import Header
from ..machine import Gpu, Machine
from .memory import HEADROOM_BYTES
from .options import LoadOptions, Measured, is_quantized
from .result import Plan

ASKED = "as asked"
MEASURED = "as measured by tuning"


def reasons(
    plan: Plan,
    first: Plan,
    header: Header,
    machine: Machine,
    gpus: Sequence[Gpu],
    asked: LoadOptions,
    tuned: Measured | None,
) -> Iterator[str]:
    """Reasons for the plan's settings, one each; `first` is the plan with the largest context tried."""
    yield f"context {plan.n_ctx:,}: {ASKED if asked.context else _why_context(plan, first, machine)}"
    yield f"KV cache in {_types(plan)}: {ASKED if asked.cache_type_k or asked.cache_type_v else 'the usual type'}"
    yield f"threads {plan.threads}: {_why(asked.threads, tuned, _why_threads(machine))}"
    yield f"batch {plan.n_batch}: {_why_batch(plan, asked, tuned)}"
    yield f"flash attention {_why_flash_attention(plan, asked)}"
    yield _why_layers(plan, header, gpus, asked, tuned)
    if not plan.gpu_layers:
        is_repacked = "repacked" if plan.repack else "not repacked"
        usual = f"the fastest kernels {'want it' if plan.repack else 'read them as they are'}"
        yield f"weights {is_repacked}: {_why(asked.repack, tuned, usual)}"
    yield f"prefix cache {readable(plan.prefix_cache_bytes)}: {_why_prefix_cache(plan, asked)}"


def warnings(plan: Plan, header: Header, machine: Machine, asked: LoadOptions) -> Iterator[str]:
    """Warnings about the plan: lower quality, less speed, or too much memory."""
    if is_quantized(plan.cache_type_k) and plan.cache_type_k != "q8_0" and header.architecture.startswith("qwen2"):
        # Biases of ||b_k|| 605 in layer 0 and 921 in layer 27 of SeaLLMs-v3, 22 in the middle one.
        yield (
            f"keys in {plan.cache_type_k}: the keys of Qwen2 models have a few very large numbers, and rounding harms "
            "the answers; q8_0 harms far less, and so do quantized values (cache_type_v)"
        )
    if plan.threads > machine.cores_usable and asked.threads:
        yield f"{plan.threads} threads share {machine.cores_usable} usable cores: fewer are faster"
    if asked.prefix_cache and asked.prefix_cache > plan.prefix_cache_bytes:
        given, wanted = readable(plan.prefix_cache_bytes), readable(asked.prefix_cache)
        yield (
            f"prefix cache {given}, not {wanted}: it takes a quarter of the free memory at most, and no "
            "more than stays free"
        )
    if plan.main_bytes + HEADROOM_BYTES > machine.memory_available:
        needed, free = readable(plan.main_bytes + HEADROOM_BYTES), readable(machine.memory_available)
        yield f"it needs {needed} of memory but {free} is free: it may be very slow, or be killed"


def _why(asked: object, tuned: Measured | None, usual: str) -> str:
    if asked is not None:
        return ASKED
    return MEASURED if tuned else usual


def _why_context(plan: Plan, first: Plan, machine: Machine) -> str:
    free = machine.memory_available
    if plan.main_bytes + HEADROOM_BYTES > free:
        return "the smallest, and more than fits"
    if plan.n_ctx == first.n_ctx:
        return "fits in the free memory"
    return f"{first.n_ctx:,} would need {readable(first.main_bytes + HEADROOM_BYTES)} of {readable(free)} free"


def _why_threads(machine: Machine) -> str:
    kind = "performance " if machine.cores_efficiency and machine.cores_usable_performance else ""
    there = machine.cores_performance + (0 if kind else machine.cores_efficiency)
    limit = " that this process may use" if machine.threads < there else ""
    number = f"each of {machine.threads} {kind}cores" if machine.threads > 1 else f"the one {kind}core"
    return f"one for {number}{limit}"


def _why_batch(plan: Plan, asked: LoadOptions, tuned: Measured | None) -> str:
    wanted = asked.n_batch or (tuned.n_batch if tuned else 0)
    if plan.n_batch == plan.n_ctx != wanted:
        return "no more than the context"
    return _why(asked.n_batch, tuned, "usual with a GPU" if plan.gpu_layers else "usual on a CPU")


def _why_flash_attention(plan: Plan, asked: LoadOptions) -> str:
    if plan.flash_attention is None:
        return "as llama.cpp finds it fit for the GPU"
    state = "on" if plan.flash_attention else "off"
    if asked.flash_attention is not None:
        return f"{state}: {ASKED}"
    usual = "the GPU has code for it" if plan.gpu_layers else "usual on a CPU"
    return f"{state}: {'quantized values need it' if is_quantized(plan.cache_type_v) else usual}"


def _why_layers(plan: Plan, header: Header, gpus: Sequence[Gpu], asked: LoadOptions, tuned: Measured | None) -> str:
    where = "all layers on the CPU"
    if plan.gpu_layers:
        where = f"{plan.gpu_layers} of {header.dimensions.n_layer + 1} layers on the GPU"
    if asked.gpu_layers != "auto":
        return f"{where}: {ASKED}"
    if tuned and tuned.gpu_layers is not None and gpus and not any(gpu.problem for gpu in gpus):
        return f"{where}: {MEASURED}"
    if plan.gpu_layers:
        return f"{where}: {'; '.join(_why_gpu(gpu) for gpu in gpus if gpu.name in plan.gpus)}"
    whys = [f"{gpu.description} lacks memory" if gpu.is_worth_using else _why_gpu(gpu) for gpu in gpus]
    return ": ".join(filter(None, (where, "; ".join(whys))))


def _why_gpu(gpu: Gpu) -> str:
    if gpu.problem:
        return f"{gpu.description} cannot run it ({gpu.problem})"
    if gpu.speedup is None:
        return f"{gpu.description} {'shares the main memory' if gpu.is_integrated else 'has memory of its own'}"
    if gpu.speedup >= 1:
        return f"{gpu.description} is {gpu.speedup:.1f} times as fast as the CPU"
    return f"the CPU is {1 / gpu.speedup:.{0 if gpu.speedup < 0.1 else 1}f} times as fast as {gpu.description}"


def _types(plan: Plan) -> str:
    keys, values = plan.cache_type_k, plan.cache_type_v
    return keys if keys == values else f"{keys} keys and {values} values"


def _why_prefix_cache(plan: Plan, asked: LoadOptions) -> str:
    if asked.prefix_cache is None:
        return "for evicted conversations, at most an eighth of the memory left"
    return ASKED if asked.prefix_cache == plan.prefix_cache_bytes else "the maximum"
