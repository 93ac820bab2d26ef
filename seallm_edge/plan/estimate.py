"""Memory estimate of a model with a given context, and the layers that fit on the GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..gguf_file import Dimensions, Header
from ..gguf_file.dimensions import EMBEDDING, OUTPUT
from ..machine import Gpu
from .memory import (
    CPU_BATCH,
    GPU_BATCH,
    N_OUTPUTS,
    N_SEQUENCES,
    n_cells,
    plain_attention_bytes,
    process_bytes,
    step_bytes,
)
from .options import LoadOptions, is_quantized, row_bytes
from .result import Plan

USUAL_KV_TYPE = "f16"
# GPU memory left for drivers, the desktop and fragmentation.
GPU_MARGIN_BYTES = 400_000_000


def estimate(header: Header, gpus: Sequence[Gpu], options: LoadOptions, n_ctx: int, threads: int) -> Plan:
    """Plan for a context of `n_ctx` tokens, whether it fits in main memory or not; without reasons and warnings.

    Of the `gpus`, those with a problem are not used, and where the number of layers is not given, those that are not
    worth it; integrated ones only where there is no other: they would hold that one up.
    """
    keys, values = options.cache_type_k or USUAL_KV_TYPE, options.cache_type_v or USUAL_KV_TYPE
    model = header.dimensions
    kv = kv_bytes(model, n_ctx, keys, values)
    weights, output = _matrix_bytes(header)
    layer = max(weights + kv // max(model.n_layer, 1), 1)
    has_plain_attention = options.flash_attention is False
    gpus, gpu_layers = _used(gpus, options.gpu_layers), options.gpu_layers
    if gpu_layers == "auto":
        step = _step(model, n_ctx, options.n_batch or GPU_BATCH, has_plain_attention)
        free = sum(gpu.memory_free for gpu in gpus) - GPU_MARGIN_BYTES - step - output
        n_fitting = free // layer if free >= model.n_layer * layer else (free - weights) // layer
        gpu_layers = 1 + min(model.n_layer, n_fitting) if gpus and n_fitting > 0 else 0
    n_batch = min(options.n_batch or (GPU_BATCH if gpu_layers else CPU_BATCH), n_ctx)
    step = _step(model, n_ctx, n_batch, has_plain_attention)
    layers_on_gpu = output + min(gpu_layers - 1, model.n_layer) * layer if gpu_layers else 0
    step_on_cpu = step if gpu_layers <= model.n_layer else 0
    step_on_gpu = step if gpu_layers else 0
    if (
        step_on_cpu and step_on_gpu
    ):  # the GPU computes prompts in the CPU's layers too, with a copy of a layer's weights
        step_on_gpu += weights
    is_shared = all(gpu.is_integrated for gpu in gpus)  # then all of it is main memory
    return Plan(
        n_ctx=n_ctx,
        n_batch=n_batch,
        n_sequences=N_SEQUENCES,
        n_outputs=N_OUTPUTS,
        threads=threads,
        gpu_layers=gpu_layers,
        gpus=tuple(gpu.name for gpu in gpus) if gpu_layers else (),
        cache_type_k=keys,
        cache_type_v=values,
        flash_attention=_flash_attention(options.flash_attention, gpus if gpu_layers else (), values),
        repack=options.repack is not False,
        prefix_cache_bytes=0,
        weights_bytes=header.tensor_bytes + (output if gpu_layers and model.tied else 0),
        kv_bytes=kv,
        compute_bytes=step_on_cpu + step_on_gpu + process_bytes(model, n_ctx),
        gpu_bytes=0 if is_shared else layers_on_gpu + step_on_gpu,
    )


def _used(gpus: Sequence[Gpu], gpu_layers: int | Literal["auto"]) -> list[Gpu]:
    """The GPUs that layers go to, if any do."""
    fit = [gpu for gpu in gpus if not gpu.problem and (gpu_layers != "auto" or gpu.is_worth_using)]
    return [gpu for gpu in fit if not gpu.is_integrated] or fit


def kv_bytes(model: Dimensions, n_ctx: int, keys: str, values: str) -> int:
    """Bytes of the KV cache for a context of `n_ctx` tokens, with keys and values of these types."""
    return n_cells(n_ctx) * (row_bytes(keys, model.keys_per_token) + row_bytes(values, model.values_per_token))


def _step(model: Dimensions, n_ctx: int, n_batch: int, has_plain_attention: bool) -> int:
    usual = step_bytes(model, n_ctx, n_batch)
    return max(usual, plain_attention_bytes(model, n_ctx, n_batch)) if has_plain_attention else usual


def _flash_attention(asked: bool | None, gpus: Sequence[Gpu], values: str) -> bool | None:
    """Flash attention: on. On GPUs that may lack code for it, None (llama.cpp decides), unless quantized values need
    it.
    """
    if asked is None and not is_quantized(values) and not all(gpu.has_flash_attention for gpu in gpus):
        return None
    return asked is not False


def _matrix_bytes(header: Header) -> tuple[int, int]:
    """(bytes of the weights of one layer, bytes of the output matrix).

    The embedding stays in main memory; where it is the output matrix too, the GPU holds a copy.
    """
    sizes = {tensor.name: tensor.n_bytes for tensor in header.tensors}
    blocks = sum(size for name, size in sizes.items() if name.startswith("blk."))
    output = sizes.get(EMBEDDING if header.dimensions.tied else OUTPUT, 0)
    return blocks // max(header.dimensions.n_layer, 1), output
