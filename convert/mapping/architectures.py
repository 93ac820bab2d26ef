"""Which checkpoints can be converted, and how their tensors and settings are called in a GGUF: a table.

Another architecture is another `Architecture` in `ARCHITECTURES`. Knows nothing of types, tokens or bytes.
ref: llama.cpp `conversion/` and `gguf-py/gguf/tensor_mapping.py` for the names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from seallm_edge.errors import CheckpointError
from seallm_edge.gguf_file import encode

from ..sources.checkpoint import Checkpoint
from ..sources.shards import SourceTensor
from .hyperparameters import Hyperparameters


@dataclass(frozen=True)
class TensorRule:
    """A tensor's name in the checkpoint and in the GGUF ({} is the layer), and its shape by names of sizes."""

    source: str
    name: str
    shape: tuple[str, ...]


@dataclass(frozen=True)
class Architecture:
    """What `config.json` calls it, what llama.cpp calls it, its tokenizer's splitting, and its tensors."""

    hf_name: str
    gguf_name: str
    pre_tokenizer: str
    before: tuple[TensorRule, ...]
    layer: tuple[TensorRule, ...]
    after: tuple[TensorRule, ...]
    untied: tuple[TensorRule, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class MappedTensor:
    """A tensor of the checkpoint under its GGUF name; `layer` is None outside the blocks."""

    name: str
    layer: int | None
    source: SourceTensor


QWEN2 = Architecture(
    hf_name="Qwen2ForCausalLM",
    gguf_name="qwen2",
    pre_tokenizer="qwen2",
    before=(TensorRule("model.embed_tokens.weight", "token_embd.weight", ("vocab", "embd")),),
    layer=(
        TensorRule("model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight", ("embd",)),
        TensorRule("model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight", ("q", "embd")),
        TensorRule("model.layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias", ("q",)),
        TensorRule("model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight", ("kv", "embd")),
        TensorRule("model.layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias", ("kv",)),
        TensorRule("model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight", ("kv", "embd")),
        TensorRule("model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias", ("kv",)),
        TensorRule("model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight", ("embd", "q")),
        TensorRule("model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight", ("embd",)),
        TensorRule("model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", ("ff", "embd")),
        TensorRule("model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight", ("ff", "embd")),
        TensorRule("model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight", ("embd", "ff")),
    ),
    after=(TensorRule("model.norm.weight", "output_norm.weight", ("embd",)),),
    untied=(TensorRule("lm_head.weight", "output.weight", ("vocab", "embd")),),
    ignored=(".rotary_emb.inv_freq",),
)

# llama.cpp's qwen2 takes no heads but those of hidden size / heads. Its seed_oss computes the same, with heads of any
# width; only the name of the norm before the feed-forward layer is another.
# ref: llama.cpp src/models/qwen2.cpp, src/models/seed-oss.cpp
_POST_NORM = {"blk.{}.ffn_norm.weight": "blk.{}.post_attention_norm.weight"}
QWEN2_OTHER_HEADS = replace(
    QWEN2,
    gguf_name="seed_oss",
    layer=tuple(replace(rule, name=_POST_NORM.get(rule.name, rule.name)) for rule in QWEN2.layer),
)

ARCHITECTURES = {architecture.hf_name: architecture for architecture in (QWEN2,)}


def architecture_of(checkpoint: Checkpoint) -> Architecture:
    """The row of the table for this checkpoint. Raises CheckpointError that names what it is instead."""
    config_path = checkpoint.folder / "config.json"
    names = checkpoint.config.get("architectures")
    known = ", ".join(ARCHITECTURES)
    if not isinstance(names, list) or not names:
        raise CheckpointError(config_path, "names no architecture", f"these can be converted: {known}")
    if names[0] not in ARCHITECTURES:
        raise CheckpointError(config_path, f"cannot convert a {names[0]}", f"these can be converted: {known}")
    return ARCHITECTURES[names[0]]


def fitted_to_heads(architecture: Architecture, sizes: Hyperparameters) -> tuple[Architecture, tuple[str, ...]]:
    """The row that llama.cpp can load heads of this width by, and a note where it is another than `architecture`."""
    if sizes.n_head * sizes.head_dim == sizes.n_embd:
        return architecture, ()
    wide = f"config.json: {sizes.n_head} heads of {sizes.head_dim} are not the hidden size of {sizes.n_embd}"
    other = QWEN2_OTHER_HEADS
    note = f"{wide}, which llama.cpp's {architecture.gguf_name} cannot load: written as {other.gguf_name}"
    return other, (f"{note}, which computes the same",)


def map_tensors(checkpoint: Checkpoint, architecture: Architecture, sizes: Hyperparameters) -> list[MappedTensor]:
    """Every tensor of the GGUF in its order there. Raises CheckpointError on a missing, extra or misshapen one."""
    expected = list(_expected(architecture, sizes))
    _check_none_missing(checkpoint, [source for source, _, _, _ in expected])
    _check_none_extra(checkpoint, architecture, {source for source, _, _, _ in expected})
    mapped = []
    for source_name, name, layer, dimensions in expected:
        source = checkpoint.tensors[source_name]
        wanted = tuple(sizes.dimensions[d] for d in dimensions)
        if source.shape != wanted:
            problem = f"{source_name} has the shape {list(source.shape)} but config.json makes it {list(wanted)}"
            raise CheckpointError(source.shard.path, problem, "take config.json and weights from the same checkpoint")
        mapped.append(MappedTensor(name, layer, source))
    return mapped


def _expected(
    architecture: Architecture, sizes: Hyperparameters
) -> Iterator[tuple[str, str, int | None, tuple[str, ...]]]:
    for rule in architecture.before:
        yield rule.source, rule.name, None, rule.shape
    for layer in range(sizes.n_layer):
        for rule in architecture.layer:
            yield rule.source.format(layer), rule.name.format(layer), layer, rule.shape
    for rule in architecture.after + (() if sizes.tied else architecture.untied):
        yield rule.source, rule.name, None, rule.shape


def _check_none_missing(checkpoint: Checkpoint, names: list[str]) -> None:
    if missing := [name for name in names if name not in checkpoint.tensors]:
        hint = "download the whole checkpoint; config.json must be of the same model as the weights"
        raise CheckpointError(checkpoint.folder, f"lacks {_listed(missing)}", hint)


def _check_none_extra(checkpoint: Checkpoint, architecture: Architecture, names: set[str]) -> None:
    # What is ignored is derived from config.json; a tied model's output matrix is here the embedding's very bytes.
    passed_over = {rule.source for rule in architecture.untied}
    extra = [
        name
        for name in checkpoint.tensors
        if name not in names and name not in passed_over and not name.endswith(architecture.ignored)
    ]
    if extra:
        hint = f"only plain {architecture.hf_name} checkpoints can be converted; merge adapters first"
        raise CheckpointError(checkpoint.folder, f"holds what no {architecture.hf_name} has: {_listed(extra)}", hint)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def architecture_metadata(architecture: Architecture, sizes: Hyperparameters) -> Mapping[str, bytes]:
    """The GGUF keys that say how the model is built, in the order of llama.cpp's converter."""
    values: dict[str, Any] = {
        "block_count": encode.u32(sizes.n_layer),
        "context_length": encode.u32(sizes.context_length),
        "embedding_length": encode.u32(sizes.n_embd),
        "feed_forward_length": encode.u32(sizes.n_ff),
        "attention.head_count": encode.u32(sizes.n_head),
        "attention.head_count_kv": encode.u32(sizes.n_head_kv),
    }
    values |= sizes.rope.metadata()
    values["attention.layer_norm_rms_epsilon"] = encode.f32(sizes.rms_epsilon)
    if sizes.states_head_dim:
        values["attention.key_length"] = values["attention.value_length"] = encode.u32(sizes.head_dim)
    return {f"{architecture.gguf_name}.{key}": value for key, value in values.items()}
