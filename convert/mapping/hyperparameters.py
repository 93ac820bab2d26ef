"""Hyperparameters of a checkpoint, read from `config.json` and checked."""

from __future__ import annotations

from dataclasses import dataclass

from seallm_edge.gguf_file import Dimensions
from seallm_edge.gguf_file.checks import MAX_LAYERS

from ..sources.checkpoint import Checkpoint
from .config_file import Config, unknown_keys
from .rope import Rope, read_rope, rope_settings

_SLIDING = "sliding_attention"


@dataclass(frozen=True)
class Hyperparameters:
    """Hyperparameters of a decoder: dimensions, positions in tokens, normalization, rotation; `notes` for its user."""

    dimensions: Dimensions
    context_length: int
    rms_epsilon: float
    rope: Rope
    notes: tuple[str, ...] = ()


def read_hyperparameters(checkpoint: Checkpoint, qkv_bias: bool) -> Hyperparameters:
    """Hyperparameters from config.json; `qkv_bias` says whether the architecture has biases.

    Raises CheckpointError that names the setting at fault.
    """
    config = Config(checkpoint.folder / "config.json", checkpoint.config)
    n_layer = config.count("num_hidden_layers", most=MAX_LAYERS)
    n_head = config.count("num_attention_heads")
    context_length = config.count("max_position_embeddings", default=32768)
    rope = read_rope(config, context_length)
    window, window_notes = _sliding_window(config, n_layer, context_length)
    _check(config)
    dimensions = _read_dimensions(config, n_layer, n_head, qkv_bias)
    hyperparameters = Hyperparameters(
        dimensions=dimensions,
        context_length=min(context_length, rope.exact_up_to or context_length, window or context_length),
        rms_epsilon=config.number("rms_norm_eps", 1e-6),
        rope=rope,
        notes=(*rope.notes, *window_notes, *unknown_keys(config.values, rope_settings(config))),
    )
    if dimensions.n_head % dimensions.n_head_kv:
        raise _unsplittable(config, n_head)
    return hyperparameters


def _read_dimensions(config: Config, n_layer: int, n_head: int, qkv_bias: bool) -> Dimensions:
    return Dimensions(
        n_layer=n_layer,
        n_embd=config.count("hidden_size"),
        n_ff=config.count("intermediate_size"),
        n_head=n_head,
        n_head_kv=config.count("num_key_value_heads", default=n_head),
        key_length=_stated_head_dim(config, n_head),
        n_vocab=config.count("vocab_size"),
        tied=config.values.get("tie_word_embeddings") is True,
        qkv_bias=qkv_bias,
    )


def _stated_head_dim(config: Config, n_head: int) -> int | None:
    """Head width, if config.json states it; else None, and the heads share the hidden size. RoPE needs an even one."""
    if config.values.get("head_dim") is None:
        if config.count("hidden_size") % (2 * n_head):
            raise _unsplittable(config, n_head)
        return None
    head_dim = config.count("head_dim")
    if head_dim % 2:
        raise config.error(f"a head_dim of {head_dim} is odd")
    return head_dim


def _unsplittable(config: Config, n_head: int) -> Exception:
    heads = f"{n_head} heads and {config.count('num_key_value_heads', default=n_head)} key-value heads"
    return config.error(f"a hidden size of {config.count('hidden_size')} cannot be split over {heads}")


def _check(config: Config) -> None:
    values = config.values
    if values.get("hidden_act", "silu") != "silu":
        raise config.error(f"the activation {values['hidden_act']!r} is not 'silu'")
    if values.get("is_causal") is False:
        raise config.error("attention in both directions (is_causal false) is not supported")


def _sliding_window(config: Config, n_layer: int, context_length: int) -> tuple[int | None, tuple[str, ...]]:
    """Window of sliding-window attention in tokens, and a note; None where every layer sees the whole context.

    Up to that many tokens both compute the same, so the file's context length is bounded to it: llama.cpp's qwen2 has
    no window. ref: transformers `Qwen2Config`
    """
    layers = config.values.get("layer_types")
    if isinstance(layers, list):
        n_sliding = layers.count(_SLIDING)
    elif config.values.get("use_sliding_window") is True:
        n_sliding = max(0, n_layer - _first_sliding(config))
    else:
        n_sliding = 0
    window = config.count("sliding_window", default=4096) if n_sliding else context_length
    if window >= context_length:
        return None, ()
    attending = f"config.json: {n_sliding} layers attend to the last {window:,} tokens (sliding-window attention)"
    return window, (f"{attending}, which bounds the file's context length",)


def _first_sliding(config: Config) -> int:
    first = config.values.get("max_window_layers", 28)
    if type(first) is not int or first < 0:
        raise config.error(f"max_window_layers is {first!r}, not a whole number")
    return first
