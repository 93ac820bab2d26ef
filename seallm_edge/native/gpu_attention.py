"""Whether a GPU has code for flash attention with the heads of a model. Where only some layers are on it, llama.cpp's
own choice goes wrong: it looks at a batch that the GPU would take from the CPU, and finds the two at odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_bool, c_char_p, c_float, c_int, c_int64, c_void_p
from dataclasses import replace

from ..gguf_file import Dimensions
from ..gguf_file.types import TENSOR_TYPES
from ..machine import Gpu
from . import symbols
from .probe_child import GGML_TYPE_F32, Ggml, InitParams

_GGML_TYPE_F16 = 1
_TYPES = {kind.name.lower(): kind for kind in TENSOR_TYPES.values()}
_DESCRIPTION_BYTES = 1 << 16
_N_TOKENS, _N_CELLS = 64, 256


def with_flash_attention(gpus: Sequence[Gpu], model: Dimensions, keys: str, values: str) -> tuple[Gpu, ...]:
    """The GPUs, each told whether it computes flash attention over `keys` and `values` of these types."""
    return tuple(replace(gpu, has_flash_attention=_has_it(gpu, model, keys, values)) for gpu in gpus)


def _has_it(gpu: Gpu, model: Dimensions, keys: str, values: str) -> bool:
    if not _can_be_asked(model, keys, values):
        return False
    ggml = Ggml(symbols.llama_cpp()._lib)
    device = ggml.call("ggml_backend_dev_by_name", c_char_p(gpu.name.encode()))
    if not device:
        return False
    memory = c_void_p(ggml.call("ggml_init", InitParams(_DESCRIPTION_BYTES, None, True)))

    def tensor(kind: int, *shape: int) -> c_void_p:
        sizes = (c_int64(size) for size in (*shape, 1)[:3])
        return c_void_p(ggml.call("ggml_new_tensor_3d", memory, c_int(kind), *sizes))

    try:
        attention = ggml.call(
            "ggml_flash_attn_ext",
            memory,
            tensor(GGML_TYPE_F32, model.head_dim, _N_TOKENS, model.n_head),
            tensor(_TYPES[keys].id, model.head_dim, _N_CELLS, model.n_head_kv),
            tensor(_TYPES[values].id, model.value_dim, _N_CELLS, model.n_head_kv),
            tensor(_GGML_TYPE_F16, _N_CELLS, _N_TOKENS),
            *map(c_float, (1.0, 0.0, 0.0)),  # scale, bias, cap of the scores
        )
        return bool(ggml.call("ggml_backend_dev_supports_op", c_void_p(device), c_void_p(attention), returns=c_bool))
    finally:
        ggml.call("ggml_free", memory, returns=None)


def _can_be_asked(model: Dimensions, keys: str, values: str) -> bool:
    """Whether ggml can describe this attention: over other shapes it ends the process. Unfit types are told when the
    options are checked.
    """
    rows = ((keys, model.head_dim), (values, model.value_dim))
    return (
        model.n_head > 0 < model.n_head_kv
        and model.n_head % model.n_head_kv == 0
        and all(name in _TYPES and width > 0 and _TYPES[name].divides(width) for name, width in rows)
    )
