"""The shape of a dense transformer, and from it the bytes of its weights in every type that `seallm convert` writes.

Sizes only: which tensor gets which type, and why, is the converter's business. A test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .gguf_file.types import TENSOR_TYPES

TYPES = ("F32", "BF16", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S", "Q4_0")  # largest file first

_Role = Literal["vector", "embedding", "output", "value", "down", "other"]
_BASE = {"Q5_K_M": "Q5_K", "Q4_K_M": "Q4_K", "Q4_K_S": "Q4_K"}
_BYTES = {name: block_bytes / block for name, block, block_bytes in TENSOR_TYPES.values()}


@dataclass(frozen=True)
class Shape:
    """Counts and widths, in the words of llama.cpp; `qkv_bias` says whether the projections have biases."""

    n_layer: int
    n_embd: int
    n_head: int
    n_head_kv: int
    n_ff: int
    n_vocab: int
    tied: bool
    qkv_bias: bool

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.n_embd // self.n_head

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of keys and values that one token takes, in f16."""
        return self.n_layer * 2 * self.n_head_kv * self.head_dim * 2

    @property
    def n_params(self) -> int:
        """How many weights there are."""
        return sum(n for _, _, n in self._matrices())

    def tensor_bytes(self, type_name: str) -> int:
        """Bytes of all weights in one of `TYPES`. Raises KeyError for another type."""
        if type_name not in TYPES:
            raise KeyError(type_name)
        return round(sum(n * _BYTES[self._type(type_name, role, layer)] for role, layer, n in self._matrices()))

    def _matrices(self) -> Iterator[tuple[_Role, int, int]]:
        """(role, layer, number of weights) of every tensor."""
        kv = self.n_head_kv * self.head_dim
        # a tied embedding is the output matrix too, and is kept as precisely
        yield ("output" if self.tied else "embedding"), 0, self.n_vocab * self.n_embd
        if not self.tied:
            yield "output", 0, self.n_vocab * self.n_embd
        for layer in range(self.n_layer):
            yield "other", layer, 2 * self.n_embd**2 + kv * self.n_embd  # query, attention output, key
            yield "value", layer, kv * self.n_embd
            yield "other", layer, 2 * self.n_embd * self.n_ff  # gate and up
            yield "down", layer, self.n_embd * self.n_ff
            yield "vector", layer, 2 * self.n_embd + (self.n_embd + 2 * kv if self.qkv_bias else 0)
        yield "vector", 0, self.n_embd

    def _type(self, recipe: str, role: _Role, layer: int) -> str:
        """The tensor type of `role` in `layer`. ref: llama.cpp src/llama-quant.cpp"""
        if role == "vector":
            return "F32"
        if recipe in ("F32", "F16", "BF16", "Q8_0"):
            return recipe
        if role == "output":
            return "Q6_K"
        if role in ("value", "down"):
            if recipe.endswith("_M") and self._takes_more_bits(layer):
                return "Q6_K"
            if recipe == "Q4_K_S" and layer < (4 if role == "value" else self.n_layer // 8):
                return "Q5_K"
        return _BASE.get(recipe, recipe)

    def _takes_more_bits(self, layer: int) -> bool:
        eighth = self.n_layer // 8
        return layer < eighth or layer >= 7 * self.n_layer // 8 or (layer - eighth) % 3 == 2
