"""A model and a machine → a `Plan`: context, threads, layers on the GPU, bytes. Or why not, before anything is loaded.

The KV cache is f16. Nothing is loaded or measured here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .catalogue import Card, cards, match_header
from .errors import InvalidOption, NotEnoughMemory
from .gguf_file import Header
from .machine import Gpu, Machine
from .memory import CPU_BATCH, GPU_BATCH, SMALLEST_CONTEXT, best_type, compute_bytes, largest_that_fits, other_bytes

USUAL_CONTEXT = 8_192
LONGEST_CONTEXT = 1 << 20
MAX_THREADS = 512  # ref: GGML_MAX_N_THREADS
MAX_GPU_LAYERS = 999  # more than any model has, so it says "all"
# Drivers, the desktop and fragmentation take their part of a GPU.
GPU_MARGIN_BYTES = 400_000_000


@dataclass(frozen=True)
class Plan:
    """How a model will be run. Bytes: of all weights, of the KV cache, of the buffers for one step and the rest of
    the process; `gpu_bytes` of them lie on the GPU. `reasons` says in words why the numbers are what they are.
    """

    n_ctx: int
    n_batch: int
    threads: int
    gpu_layers: int
    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    gpu_bytes: int
    reasons: tuple[str, ...]

    @property
    def total_bytes(self) -> int:
        """All memory, the GPU's included."""
        return self.weights_bytes + self.kv_bytes + self.compute_bytes

    @property
    def main_bytes(self) -> int:
        """Main memory."""
        return self.total_bytes - self.gpu_bytes


def make_plan(
    header: Header,
    machine: Machine,
    *,
    gpus: Sequence[Gpu] = (),
    context: int | None = None,
    threads: int | None = None,
    gpu_layers: int | Literal["auto"] = "auto",
    force: bool = False,
) -> Plan:
    """The plan for a model on a machine. None and "auto" choose; `force` plans even what does not fit.

    Raises InvalidOption; NotEnoughMemory, whose cure names the nearest choice that fits.
    """
    _check_options(header, gpus, context, threads, gpu_layers)
    n_threads = threads or machine.threads
    contexts = [context] if context else _contexts(header)
    plans = [_sized(header, gpus, n_ctx, n_threads, gpu_layers) for n_ctx in contexts]
    fitting = [plan for plan in plans if plan.main_bytes <= machine.memory_available]
    if not fitting and not force:
        raise _refusal(header, machine, plans[-1], context)
    plan = (fitting or plans[-1:])[0]
    why_context = "as asked" if context else _why_context(plan, plans[0], machine)
    why_threads = "as asked" if threads else f"one for each of {machine.threads} cores"
    reasons = (f"context {plan.n_ctx:,}: {why_context}", f"threads {n_threads}: {why_threads}", *plan.reasons)
    return replace(plan, reasons=reasons)


def _check_options(
    header: Header, gpus: Sequence[Gpu], context: int | None, threads: int | None, gpu_layers: int | Literal["auto"]
) -> None:
    if context is not None:
        _check_range("context", context, 1, header.context_length or LONGEST_CONTEXT)
    if threads is not None:
        _check_range("threads", threads, 1, MAX_THREADS)
    if gpu_layers != "auto":
        _check_range("gpu_layers", gpu_layers, 0, MAX_GPU_LAYERS)
        if gpu_layers and not gpus:
            raise InvalidOption(f"gpu_layers is {gpu_layers}, but llama.cpp sees no GPU here", "leave it at 'auto'")


def _check_range(name: str, value: object, lowest: int, highest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise InvalidOption(f"{name} is {value!r}", f"give a whole number from {lowest} to {highest:,}")


def _contexts(header: Header) -> list[int]:
    """Contexts to try, the usual one first, halved as long as a chat still works."""
    sizes = [min(header.context_length or USUAL_CONTEXT, USUAL_CONTEXT)]
    while sizes[-1] // 2 >= SMALLEST_CONTEXT:
        sizes.append(sizes[-1] // 2)
    return sizes


def _sized(header: Header, gpus: Sequence[Gpu], n_ctx: int, threads: int, gpu_layers: int | Literal["auto"]) -> Plan:
    kv = header.kv_bytes_per_token * n_ctx
    layer, output, is_tied = _layer_bytes(header, kv)
    if gpu_layers == "auto":
        room = sum(gpu.memory_free for gpu in gpus) - GPU_MARGIN_BYTES - compute_bytes(header, GPU_BATCH) - output
        gpu_layers = 1 + min(header.n_layer, room // layer) if gpus and room >= layer else 0
    n_batch = min(GPU_BATCH if gpu_layers else CPU_BATCH, n_ctx)
    step = compute_bytes(header, n_batch)
    on_gpu = output + min(gpu_layers - 1, header.n_layer) * layer if gpu_layers else 0
    return Plan(
        n_ctx=n_ctx,
        n_batch=n_batch,
        threads=threads,
        gpu_layers=gpu_layers,
        weights_bytes=header.tensor_bytes + (output if gpu_layers and is_tied else 0),
        kv_bytes=kv,
        compute_bytes=step + other_bytes(header),
        gpu_bytes=on_gpu + (step if gpu_layers > header.n_layer else 0),
        reasons=(f"{gpu_layers} of {header.n_layer + 1} layers on the GPU" if gpu_layers else "all layers on the CPU",),
    )


def _layer_bytes(header: Header, kv: int) -> tuple[int, int, bool]:
    """(bytes of one layer with its share of the KV cache, bytes of the output matrix, whether that is the embedding).

    The embedding stays in main memory; as the output it goes to the GPU a second time.
    """
    sizes = {tensor.name: tensor.n_bytes for tensor in header.tensors}
    blocks = sum(size for name, size in sizes.items() if name.startswith("blk."))
    is_tied = "output.weight" not in sizes
    output = sizes.get("token_embd.weight" if is_tied else "output.weight", 0)
    return max((blocks + kv) // max(header.n_layer, 1), 1), output, is_tied


def _refusal(header: Header, machine: Machine, plan: Plan, context: int | None) -> NotEnoughMemory:
    card = match_header(header)
    free = machine.memory_available
    choice = (
        _smaller_context(header, plan, free, context)
        or (card and _smaller_type(card, header, free))
        or _smaller_model(card, free, machine)
        or "no model of the catalogue fits; close other programs"
    )
    name = f"{header.path.stem} with a context of {plan.n_ctx:,}"
    return NotEnoughMemory(name, plan.main_bytes, free, f"{choice}; --force loads it all the same")


def _smaller_context(header: Header, plan: Plan, free: int, context: int | None) -> str:
    if context is None:
        return ""
    room = (free - (plan.main_bytes - plan.kv_bytes)) // max(header.kv_bytes_per_token, 1)
    largest = 1 << max(int(room), 1).bit_length() - 1
    return f"--context {largest} fits" if SMALLEST_CONTEXT // 4 <= largest < context else ""


def _smaller_type(card: Card, header: Header, free: int) -> str:
    name = best_type(card, free, below=header.file_size)
    return f"{name} of the same model fits: seallm convert FOLDER --type {name}" if name else ""


def _smaller_model(card: Card | None, free: int, machine: Machine) -> str:
    kind = card.chat if card else True
    others = (other for other in cards().values() if other != card and other.chat == kind)
    found = largest_that_fits(others, machine)
    return f"{found[0].name} ({found[1]}) fits in the {free / 1e9:.1f} GB" if found else ""


def _why_context(plan: Plan, first: Plan, machine: Machine) -> str:
    if plan.n_ctx == first.n_ctx:
        return "fits in the free memory" if plan.main_bytes <= machine.memory_available else "forced"
    return f"{first.n_ctx:,} would need {first.main_bytes / 1e9:.1f} GB of {machine.memory_available / 1e9:.1f} GB free"
