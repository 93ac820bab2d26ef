"""Architectures of the converter: a table of the names that tensors and settings have in a checkpoint and in a GGUF.

A further architecture is one more `Architecture` in `ARCHITECTURES`. Knows nothing of types, tokens or bytes; shapes
are those of `Dimensions.tensor_shapes`.
ref: llama.cpp `conversion/` and `gguf-py/gguf/tensor_mapping.py` for the names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from seallm_edge.errors import CheckpointError
from seallm_edge.gguf_file import Dimensions, encode
from seallm_edge.gguf_file.dimensions import EMBEDDING, OUTPUT

from ..sources.checkpoint import Checkpoint
from ..sources.shards import SourceTensor
from .hyperparameters import Hyperparameters


@dataclass(frozen=True)
class Architecture:
    """Architecture: its names in `config.json` and in llama.cpp, its pre-tokenizer, and its tensor names.

    sources     the tensors' names in a checkpoint by those of `Dimensions.tensor_shapes`; {} is the layer
    renamed     llama.cpp's names of those that this architecture names differently
    qkv_bias    whether queries, keys and values have biases
    ignored     endings of tensors that follow from config.json
    """

    hf_name: str
    gguf_name: str
    pre_tokenizer: str
    sources: Mapping[str, str]
    renamed: Mapping[str, str]
    qkv_bias: bool
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class MappedTensor:
    """Tensor of the checkpoint under its GGUF name."""

    name: str
    source: SourceTensor


QWEN2 = Architecture(
    hf_name="Qwen2ForCausalLM",
    gguf_name="qwen2",
    pre_tokenizer="qwen2",
    sources={
        EMBEDDING: "model.embed_tokens.weight",
        "blk.{}.attn_norm.weight": "model.layers.{}.input_layernorm.weight",
        "blk.{}.attn_q.weight": "model.layers.{}.self_attn.q_proj.weight",
        "blk.{}.attn_q.bias": "model.layers.{}.self_attn.q_proj.bias",
        "blk.{}.attn_k.weight": "model.layers.{}.self_attn.k_proj.weight",
        "blk.{}.attn_k.bias": "model.layers.{}.self_attn.k_proj.bias",
        "blk.{}.attn_v.weight": "model.layers.{}.self_attn.v_proj.weight",
        "blk.{}.attn_v.bias": "model.layers.{}.self_attn.v_proj.bias",
        "blk.{}.attn_output.weight": "model.layers.{}.self_attn.o_proj.weight",
        "blk.{}.ffn_norm.weight": "model.layers.{}.post_attention_layernorm.weight",
        "blk.{}.ffn_gate.weight": "model.layers.{}.mlp.gate_proj.weight",
        "blk.{}.ffn_up.weight": "model.layers.{}.mlp.up_proj.weight",
        "blk.{}.ffn_down.weight": "model.layers.{}.mlp.down_proj.weight",
        "output_norm.weight": "model.norm.weight",
        OUTPUT: "lm_head.weight",
    },
    renamed={},
    qkv_bias=True,
    ignored=(".rotary_emb.inv_freq",),
)

# llama.cpp's qwen2 takes no heads but those of hidden size / heads. Its seed_oss computes the same, with heads of any
# width; only the name of the norm before the feed-forward layer is another.
# ref: llama.cpp src/models/qwen2.cpp, src/models/seed-oss.cpp
QWEN2_OTHER_HEADS = replace(
    QWEN2, gguf_name="seed_oss", renamed={"blk.{}.ffn_norm.weight": "blk.{}.post_attention_norm.weight"}
)

ARCHITECTURES = {architecture.hf_name: architecture for architecture in (QWEN2,)}


def architecture_of(checkpoint: Checkpoint) -> Architecture:
    """Architecture of this checkpoint. Raises CheckpointError that names an unsupported one."""
    config_path = checkpoint.folder / "config.json"
    names = checkpoint.config.get("architectures")
    known = ", ".join(ARCHITECTURES)
    if not isinstance(names, list) or not names:
        raise CheckpointError(config_path, "names no architecture", f"these can be converted: {known}")
    if names[0] not in ARCHITECTURES:
        raise CheckpointError(config_path, f"cannot convert a {names[0]}", f"these can be converted: {known}")
    return ARCHITECTURES[names[0]]


def fitted_to_heads(architecture: Architecture, dimensions: Dimensions) -> tuple[Architecture, tuple[str, ...]]:
    """Architecture under which llama.cpp loads heads of this width, and a note where it is not `architecture`."""
    n_head, head_dim, n_embd = dimensions.n_head, dimensions.head_dim, dimensions.n_embd
    if n_head * head_dim == n_embd:
        return architecture, ()
    wide = f"config.json: {n_head} heads of {head_dim} are not the hidden size of {n_embd}"
    other = QWEN2_OTHER_HEADS
    note = f"{wide}, which llama.cpp's {architecture.gguf_name} cannot load: written as {other.gguf_name}"
    return other, (f"{note}, which computes the same",)


def map_tensors(checkpoint: Checkpoint, architecture: Architecture, dimensions: Dimensions) -> list[MappedTensor]:
    """Tensors of the GGUF in file order. Raises CheckpointError on a missing, extra or misshapen one."""
    expected = list(_expected(architecture, dimensions))
    _check_none_missing(checkpoint, [source for source, _, _ in expected])
    _check_none_extra(checkpoint, architecture, {source for source, _, _ in expected})
    mapped = []
    for source_name, name, shape in expected:
        source = checkpoint.tensors[source_name]
        if source.shape != shape:
            problem = f"{source_name} has the shape {list(source.shape)} but config.json makes it {list(shape)}"
            raise CheckpointError(source.shard.path, problem, "take config.json and weights from the same checkpoint")
        mapped.append(MappedTensor(name, source))
    return mapped


def _expected(architecture: Architecture, dimensions: Dimensions) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """(name in the checkpoint, name in the GGUF, shape) of every tensor."""
    names = {
        name.format(layer): (source.format(layer), architecture.renamed.get(name, name).format(layer))
        for name, source in architecture.sources.items()
        for layer in range(dimensions.n_layer)
    }
    return ((*names[name], shape) for name, shape in dimensions.tensor_shapes().items())


def _check_none_missing(checkpoint: Checkpoint, names: list[str]) -> None:
    if missing := [name for name in names if name not in checkpoint.tensors]:
        hint = "download the whole checkpoint; config.json must be of the same model as the weights"
        raise CheckpointError(checkpoint.folder, f"lacks {_listed(missing)}", hint)


def _check_none_extra(checkpoint: Checkpoint, architecture: Architecture, names: set[str]) -> None:
    # What is ignored is derived from config.json; a tied model's output matrix is here the embedding's very bytes.
    extra = [
        name
        for name in checkpoint.tensors
        if name not in names and name != architecture.sources[OUTPUT] and not name.endswith(architecture.ignored)
    ]
    if extra:
        hint = f"only plain {architecture.hf_name} checkpoints can be converted; merge adapters first"
        raise CheckpointError(checkpoint.folder, f"holds what no {architecture.hf_name} has: {_listed(extra)}", hint)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def architecture_metadata(architecture: Architecture, hyperparameters: Hyperparameters) -> Mapping[str, bytes]:
    """GGUF keys of the hyperparameters, in the order of llama.cpp's converter."""
    dimensions = hyperparameters.dimensions
    values: dict[str, Any] = {
        "block_count": encode.u32(dimensions.n_layer),
        "context_length": encode.u32(hyperparameters.context_length),
        "embedding_length": encode.u32(dimensions.n_embd),
        "feed_forward_length": encode.u32(dimensions.n_ff),
        "attention.head_count": encode.u32(dimensions.n_head),
        "attention.head_count_kv": encode.u32(dimensions.n_head_kv),
    }
    values |= hyperparameters.rope.metadata()
    values["attention.layer_norm_rms_epsilon"] = encode.f32(hyperparameters.rms_epsilon)
    if dimensions.key_length is not None:
        values["attention.key_length"] = values["attention.value_length"] = encode.u32(dimensions.key_length)
    return {f"{architecture.gguf_name}.{key}": value for key, value in values.items()}
