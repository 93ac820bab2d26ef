"""`Dimensions` of a dense decoder, and its table of tensors: everything that layers, widths and heads decide.

Knows nothing of where the numbers stand: a GGUF's metadata, a card, a config.json. Sizes are llama.cpp's, by its names.
ref: llama.cpp src/models/qwen2.cpp, src/models/llama.cpp, src/llama-hparams.h
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

EMBEDDING, OUTPUT = "token_embd.weight", "output.weight"

_F16_BYTES = 2


@dataclass(frozen=True)
class Dimensions:
    """Dimensions of a dense decoder: layers, widths, attention heads, tokens of the vocabulary.

    tied            the embedding is the output matrix too
    qkv_bias        queries, keys and values have biases
    key_length      width of one head's queries and keys, where it is stated; else the width shared among the heads
    value_length    width of one head's values, where it is stated; else that of its keys
    """

    n_layer: int
    n_embd: int
    n_head: int
    n_head_kv: int
    n_ff: int
    n_vocab: int
    tied: bool
    qkv_bias: bool
    key_length: int | None = None
    value_length: int | None = None

    @property
    def head_dim(self) -> int:
        """Width of one head's queries and keys."""
        return self.n_embd // max(self.n_head, 1) if self.key_length is None else self.key_length

    @property
    def value_dim(self) -> int:
        """Width of one head's values."""
        return self.head_dim if self.value_length is None else self.value_length

    @property
    def n_gqa(self) -> int:
        """Query heads that share a KV head (grouped-query attention)."""
        return self.n_head // max(self.n_head_kv, 1)

    @property
    def keys_per_token(self) -> int:
        """Elements of one token's keys, in all layers."""
        return self.n_layer * self.n_head_kv * self.head_dim

    @property
    def values_per_token(self) -> int:
        """Elements of one token's values, in all layers."""
        return self.n_layer * self.n_head_kv * self.value_dim

    @property
    def kv_bytes_per_token(self) -> int:
        """KV cache bytes of one token, in f16."""
        return (self.keys_per_token + self.values_per_token) * _F16_BYTES

    @property
    def n_params(self) -> int:
        """Weights in all tensors of `tensor_shapes`."""
        return sum(map(prod, self.tensor_shapes().values()))

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor, rows first, by its GGUF name and in llama.cpp's order."""
        layer_shapes = self._layer_shapes()
        shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (self.n_vocab, self.n_embd)}
        for layer in range(self.n_layer):
            shapes |= {f"blk.{layer}.{name}": shape for name, shape in layer_shapes.items()}
        shapes["output_norm.weight"] = (self.n_embd,)
        return shapes if self.tied else shapes | {OUTPUT: (self.n_vocab, self.n_embd)}

    def _layer_shapes(self) -> dict[str, tuple[int, ...]]:
        q, attended = self.n_head * self.head_dim, self.n_head * self.value_dim
        k, v = self.n_head_kv * self.head_dim, self.n_head_kv * self.value_dim
        shapes: dict[str, tuple[int, ...]] = {
            "attn_norm.weight": (self.n_embd,),
            "attn_q.weight": (q, self.n_embd),
            "attn_q.bias": (q,),
            "attn_k.weight": (k, self.n_embd),
            "attn_k.bias": (k,),
            "attn_v.weight": (v, self.n_embd),
            "attn_v.bias": (v,),
            "attn_output.weight": (self.n_embd, attended),
            "ffn_norm.weight": (self.n_embd,),
            "ffn_gate.weight": (self.n_ff, self.n_embd),
            "ffn_up.weight": (self.n_ff, self.n_embd),
            "ffn_down.weight": (self.n_embd, self.n_ff),
        }
        return {name: shape for name, shape in shapes.items() if self.qkv_bias or not name.endswith(".bias")}
