"""`LoadOptions`: loading options as the user gives them. Loading defaults are defined here only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from ..errors import InvalidOption, did_you_mean
from ..gguf_file import Header
from ..gguf_file.types import TENSOR_TYPES
from ..hints import Hint, Option
from ..machine import Gpu

MAX_CONTEXT = 1 << 20
MAX_THREADS = 512  # ref: GGML_MAX_N_THREADS
MAX_GPU_LAYERS = 999  # more than any model has: all layers
BATCHES = 16, 4_096
MAX_PREFIX_CACHE = 1 << 40
_MAX_KEEP_ALIVE = 1e9  # seconds
# Types that llama.cpp's attention can read. ref: common/arg.cpp, kv_cache_types
KV_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")


class Measured(Protocol):
    """Fastest settings measured for a model on this machine; `tuning.Tuned` has them."""

    @property
    def threads(self) -> int:
        """CPU threads."""

    @property
    def n_batch(self) -> int:
        """Tokens of one step."""

    @property
    def repack(self) -> bool:
        """Whether weights are repacked."""

    @property
    def gpu_layers(self) -> int | None:
        """Layers on the GPUs; None where there was no GPU to try."""


@dataclass(frozen=True)
class LoadOptions:
    """Loading options; None and "auto" leave the choice to the plan.

    context         tokens of KV cache, shared by all requests
    threads         CPU threads
    gpu_layers      layers on the GPU; "auto" takes all that fit, where they are faster there
    cache_type_k/v  types of the KV cache, of `KV_TYPES`
    flash_attention None lets llama.cpp decide
    drafting        "auto" (n-gram tables and prompt lookup), "off", or a draft model's name or path
    prefix_cache    bytes of host memory for evicted KV states
    snapshots       KV states on disk: True, or a folder
    keep_alive      idle seconds after which the weights are unloaded; None never unloads
    n_batch         tokens of one prefill step
    repack          whether weights are repacked for the CPU
    force           load even what does not fit in memory
    """

    context: int | None = None
    threads: int | None = None
    gpu_layers: int | Literal["auto"] = "auto"
    cache_type_k: str | None = None
    cache_type_v: str | None = None
    flash_attention: bool | None = None
    drafting: str | Path = "auto"
    prefix_cache: int | None = None
    snapshots: bool | str | Path = False
    keep_alive: float | None = None
    n_batch: int | None = None
    repack: bool | None = None
    force: bool = False

    def checked(self, header: Header, gpus: Sequence[Gpu]) -> LoadOptions:
        """Checked options, with types in lower case. Raises InvalidOption for values unfit for the model or machine."""
        _check_range("context", self.context, 1, header.context_length or MAX_CONTEXT)
        _check_range("threads", self.threads, 1, MAX_THREADS)
        _check_range("n_batch", self.n_batch, *BATCHES)
        _check_range("prefix_cache", self.prefix_cache, 0, MAX_PREFIX_CACHE)
        for name in ("flash_attention", "repack"):
            _check_choice(name, getattr(self, name))
        if self.keep_alive is not None and not 0 <= self.keep_alive < _MAX_KEEP_ALIVE:
            message = f"keep_alive is {self.keep_alive}"
            raise InvalidOption(message, "give seconds from 0 up, or None to keep the model loaded")
        if not self.drafting or not isinstance(self.drafting, str | Path):
            message = f"drafting is {self.drafting!r}"
            raise InvalidOption(message, 'give "auto", "off", or a smaller model that drafts')
        if self.gpu_layers != "auto":
            _check_range("gpu_layers", self.gpu_layers, 0, MAX_GPU_LAYERS)
            if self.gpu_layers and not gpus:
                message = f"gpu_layers is {self.gpu_layers}, but llama.cpp sees no GPU here"
                raise InvalidOption(message, Hint("leave out {option}", option=Option("gpu_layers")))
        keys = _checked_type("cache_type_k", self.cache_type_k, header.dimensions.head_dim)
        values = _checked_type("cache_type_v", self.cache_type_v, header.dimensions.value_dim)
        if self.flash_attention is False and values and is_quantized(values):
            message = f"cache_type_v is {values}, which needs flash attention, but flash_attention is False"
            raise InvalidOption(message, "leave out one of the two")
        return replace(self, cache_type_k=keys, cache_type_v=values)


def row_bytes(type_name: str, n_elements: int) -> int:
    """Bytes of `n_elements` numbers, whole blocks of them, in a type of the KV cache."""
    return TENSOR_TYPES[type_name.upper()].row_bytes(n_elements)


def is_quantized(type_name: str) -> bool:
    """Whether the type stores several numbers in a block."""
    return TENSOR_TYPES[type_name.upper()].block > 1


def _check_range(name: str, value: object, lowest: int, highest: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise InvalidOption(f"{name} is {value!r}", f"give a whole number from {lowest} to {highest:,}")


def _check_choice(name: str, value: object) -> None:
    if value is not None and not isinstance(value, bool):
        raise InvalidOption(f"{name} is {value!r}", "give True or False, or None for what suits the machine")


def _checked_type(name: str, value: object, head_dim: int) -> str | None:
    if value is None:
        return None
    type_name = str(value).lower()
    if not isinstance(value, str) or type_name not in KV_TYPES:
        raise InvalidOption(f"{name} is {value!r}{did_you_mean(type_name, KV_TYPES)}", f"one of: {' '.join(KV_TYPES)}")
    kind = TENSOR_TYPES[type_name.upper()]
    if not kind.divides(head_dim):
        message = f"{name} is {type_name}, whose blocks of {kind.block} do not divide this model's heads of {head_dim}"
        raise InvalidOption(message, "give f16")
    return type_name
