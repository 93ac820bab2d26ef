"""The shape of a dense transformer, and from it the bytes of its weights by every recipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ..gguf_file.types import TENSOR_TYPES
from .recipes import RECIPES, QuantContext, tensor_type

# What cards speak of, the largest file first: the types that serve everyone without an importance matrix.
TYPES = ("F32", "BF16", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S", "Q4_0")

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
        return sum(prod(shape) for _, shape in self._tensors())

    def tensor_bytes(self, type_name: str) -> int:
        """Bytes of all weights by the recipe of this name, without an importance matrix. Raises KeyError if none is."""
        recipe, model = RECIPES[type_name], QuantContext(self.n_layer, self.n_head // self.n_head_kv, self.tied)
        types = ((tensor_type(recipe, name, shape, model), shape) for name, shape in self._tensors())
        return round(sum(_BYTES[kind] * prod(shape) for kind, shape in types))

    def _tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Every matrix by its GGUF name, rows first; the vectors of a layer together, as one."""
        kv = self.n_head_kv * self.head_dim
        yield "token_embd.weight", (self.n_vocab, self.n_embd)
        if not self.tied:
            yield "output.weight", (self.n_vocab, self.n_embd)
        for layer in range(self.n_layer):
            block = f"blk.{layer}."
            yield f"{block}attn_q.weight", (self.n_embd, self.n_embd)
            yield f"{block}attn_k.weight", (kv, self.n_embd)
            yield f"{block}attn_v.weight", (kv, self.n_embd)
            yield f"{block}attn_output.weight", (self.n_embd, self.n_embd)
            yield f"{block}ffn_gate.weight", (self.n_ff, self.n_embd)
            yield f"{block}ffn_up.weight", (self.n_ff, self.n_embd)
            yield f"{block}ffn_down.weight", (self.n_embd, self.n_ff)
            yield f"{block}vectors", (2 * self.n_embd + (self.n_embd + 2 * kv if self.qkv_bias else 0),)
        yield "output_norm.weight", (self.n_embd,)
