"""The numbers of `config.json` that a conversion needs, read and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from seallm_edge.errors import CheckpointError

from ..sources.checkpoint import Checkpoint

# ref: llama.cpp `LLAMA_MAX_LAYERS`
_MAX_LAYERS = 512
_MAX_SIZE = 2**31 - 1
_SAME_MODEL = "take config.json from where the weights are from"


@dataclass(frozen=True)
class RopeScaling:
    """How positions past the trained ones are squeezed: `linear` or `yarn`."""

    kind: str
    factor: float
    original_context: int | None


@dataclass(frozen=True)
class Hyperparameters:
    """The sizes of a decoder: layers, widths, heads, rows of the vocabulary, trained positions."""

    n_layer: int
    n_embd: int
    n_ff: int
    n_head: int
    n_head_kv: int
    n_vocab: int
    context_length: int
    rms_epsilon: float
    rope_theta: float
    rope_scaling: RopeScaling | None
    tied: bool

    @property
    def dimensions(self) -> Mapping[str, int]:
        """The sizes by the names that tensor shapes use."""
        kv = self.n_embd // self.n_head * self.n_head_kv
        return {"vocab": self.n_vocab, "embd": self.n_embd, "ff": self.n_ff, "q": self.n_embd, "kv": kv}

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of keys and values that one token takes, in f16."""
        return self.n_layer * 2 * self.dimensions["kv"] * 2


def read_hyperparameters(checkpoint: Checkpoint) -> Hyperparameters:
    """What config.json says. Raises CheckpointError that names the setting at fault."""
    config = _Config(checkpoint.folder / "config.json", checkpoint.config)
    n_head = config.count("num_attention_heads")
    rope = config.rope()
    sizes = Hyperparameters(
        n_layer=config.count("num_hidden_layers", most=_MAX_LAYERS),
        n_embd=config.count("hidden_size"),
        n_ff=config.count("intermediate_size"),
        n_head=n_head,
        n_head_kv=config.count("num_key_value_heads", default=n_head),
        n_vocab=config.count("vocab_size"),
        context_length=config.count("max_position_embeddings", default=32768),
        rms_epsilon=config.number("rms_norm_eps", 1e-6),
        rope_theta=config.number("rope_theta", rope.get("rope_theta", 10_000.0)),
        rope_scaling=config.rope_scaling(rope),
        tied=config.values.get("tie_word_embeddings") is True,
    )
    _check(config, sizes)
    return sizes


@dataclass(frozen=True)
class _Config:
    path: PurePath
    values: Mapping[str, Any]

    def error(self, problem: str) -> CheckpointError:
        return CheckpointError(self.path, problem, _SAME_MODEL)

    def count(self, key: str, default: int | None = None, most: int = _MAX_SIZE) -> int:
        value = self.values.get(key)
        value = default if value is None else value
        if type(value) is not int or not 1 <= value <= most:
            raise self.error(f"{key} is {value!r}, not a whole number from 1 to {most}")
        return value

    def number(self, key: str, default: Any) -> float:
        value = self.values.get(key)
        value = default if value is None else value
        if type(value) not in (int, float) or not 0 < value < math.inf:
            raise self.error(f"{key} is {value!r}, not a positive number")
        return float(value)

    def rope(self) -> Mapping[str, Any]:
        """`rope_parameters` as transformers 5 writes it, else the older `rope_scaling`."""
        rope = self.values.get("rope_parameters") or self.values.get("rope_scaling") or {}
        if not isinstance(rope, dict):
            raise self.error(f"rope_scaling is {rope!r}, not an object")
        return rope

    def rope_scaling(self, rope: Mapping[str, Any]) -> RopeScaling | None:
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind == "default":
            return None
        if kind not in ("linear", "yarn"):
            raise self.error(f"rope scaling {kind!r} is neither 'linear' nor 'yarn'")
        scaling = _Config(self.path, rope)
        original = scaling.count("original_max_position_embeddings") if kind == "yarn" else None
        return RopeScaling(kind, scaling.number("factor", None), original)


def _check(config: _Config, sizes: Hyperparameters) -> None:
    values = config.values
    if sizes.n_embd % (2 * sizes.n_head) or sizes.n_head % sizes.n_head_kv:
        heads = f"{sizes.n_head} heads and {sizes.n_head_kv} key-value heads"
        raise config.error(f"a hidden size of {sizes.n_embd} cannot be split over {heads}")
    if values.get("head_dim") not in (None, sizes.n_embd // sizes.n_head):
        raise config.error(f"a head_dim of {values['head_dim']!r} is not hidden_size / num_attention_heads")
    if values.get("hidden_act", "silu") != "silu":
        raise config.error(f"the activation {values['hidden_act']!r} is not 'silu'")
    window_from = values.get("max_window_layers", 0)
    if values.get("use_sliding_window") is True and type(window_from) is int and window_from < sizes.n_layer:
        raise config.error("sliding-window attention (use_sliding_window) is not supported")
