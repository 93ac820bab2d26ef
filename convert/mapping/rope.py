"""Rotary positions: `rope_parameters` of config.json (older: `rope_scaling` and `rope_theta`) → the GGUF's rope keys.

ref: transformers `modeling_rope_utils.py`; llama.cpp `conversion/base.py` (`set_gguf_parameters`) for the keys, and
`llama-context.cpp` for their use
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seallm_edge.gguf_file import encode

from .config_file import Config

_KINDS = ("default", "linear", "yarn", "dynamic")
_DEFAULT_THETA = 10_000.0
_YARN_BETAS = {"beta_fast": 32.0, "beta_slow": 1.0}  # ref: llama.cpp reads none of them for these architectures


@dataclass(frozen=True)
class Rope:
    """Rotary embedding: base `theta`, scaling (`kind` "default" for none), YaRN keys by their GGUF names.

    If `exact_up_to` is not None, the original model differs past that many tokens in a way that GGUF cannot express.
    """

    theta: float
    kind: str
    factor: float = 1.0
    original_context: int | None = None
    yarn: Mapping[str, float] = field(default_factory=dict)
    exact_up_to: int | None = None
    notes: tuple[str, ...] = ()

    def metadata(self) -> Mapping[str, bytes]:
        """GGUF keys of the rotary embedding, without the architecture's prefix."""
        values = {}
        if self.kind in ("linear", "yarn"):
            values["rope.scaling.type"] = encode.text(self.kind)
            values["rope.scaling.factor"] = encode.f32(self.factor)
            if self.original_context:
                values["rope.scaling.original_context_length"] = encode.u32(self.original_context)
            values |= {f"rope.scaling.{key}": encode.f32(value) for key, value in self.yarn.items()}
        values["rope.freq_base"] = encode.f32(self.theta)
        return values


def rope_settings(config: Config) -> Mapping[str, Any]:
    """The rope settings: `rope_parameters` as transformers 5 writes it, else the older `rope_scaling`."""
    newer, older = (config.values.get(key) or {} for key in ("rope_parameters", "rope_scaling"))
    for key, value in (("rope_parameters", newer), ("rope_scaling", older)):
        if not isinstance(value, dict):
            raise config.error(f"{key} is {value!r}, not an object")
    if newer and older and _scaling_of(newer) != _scaling_of(older):
        raise config.error("rope_parameters and rope_scaling contradict each other")
    if "sliding_attention" in newer:
        raise config.error("rope_parameters gives layers of sliding attention positions of their own")
    full = newer.get("full_attention") or newer or older
    if not isinstance(full, dict):
        raise config.error(f"rope_parameters.full_attention is {full!r}, not an object")
    return full


def read_rope(config: Config, context_length: int) -> Rope:
    """Rotary embedding in config.json. Raises CheckpointError for settings that a Qwen2 GGUF cannot express."""
    rope = Config(config.path, rope_settings(config))
    kind = _kind(rope.values)
    if kind not in _KINDS:
        raise config.error(f"rope scaling {kind!r} is none of 'linear', 'yarn' and 'dynamic'")
    for settings in (config, rope):
        if settings.values.get("partial_rotary_factor") not in (None, 1):
            raise config.error(f"a partial_rotary_factor of {settings.values['partial_rotary_factor']!r} is not 1")
    theta = rope.number("rope_theta", config.number("rope_theta", _DEFAULT_THETA))
    original = rope.values.get("original_max_position_embeddings") or config.values.get(
        "original_max_position_embeddings"
    )
    checked = Config(config.path, {"original_max_position_embeddings": original})
    if kind == "yarn":
        return _yarn(rope, theta, checked.count("original_max_position_embeddings"))
    if kind == "dynamic":
        return _dynamic(theta, min(context_length, checked.count("original_max_position_embeddings", context_length)))
    return Rope(theta, kind, rope.number("factor", None) if kind == "linear" else 1.0)


def _kind(rope: Mapping[str, Any]) -> Any:
    return rope.get("rope_type", rope.get("type", "default"))


def _scaling_of(rope: Mapping[str, Any]) -> Mapping[str, Any]:
    named = {key: value for key, value in rope.items() if key not in ("rope_theta", "type")}
    return {**named, "rope_type": _kind(rope)}


def _dynamic(theta: float, exact: int) -> Rope:
    """Dynamic scaling, which begins past `exact` tokens; shorter contexts are not scaled."""
    note = f"config.json: 'dynamic' rope scaling begins past {exact:,} tokens, which is the file's context length"
    return Rope(theta, "dynamic", exact_up_to=exact, notes=(note,))


def _yarn(rope: Config, theta: float, original: int) -> Rope:
    factor = rope.number("factor", None)
    keys = {"yarn_ext_factor": rope.optional_number("extrapolation_factor")}
    keys["yarn_attn_factor"] = rope.optional_number("attention_factor") or rope.optional_number("attn_factor")
    keys |= {f"yarn_{key}": rope.optional_number(key) for key in _YARN_BETAS}
    attention = keys["yarn_attn_factor"] or _ratio_of_scales(rope, factor)
    if attention and not math.isclose(attention, _scale(factor), rel_tol=1e-6):
        keys["attn_factor"] = attention / _scale(factor)  # llama.cpp multiplies its own by this one
    notes = [
        f"config.json: a {key} of {keys[f'yarn_{key}']:g} is written, but llama.cpp computes with {usual:g}"
        for key, usual in _YARN_BETAS.items()
        if keys[f"yarn_{key}"] not in (None, usual)
    ]
    given = {key: value for key, value in keys.items() if value is not None}
    return Rope(theta, "yarn", factor, original, given, notes=tuple(notes))


def _ratio_of_scales(rope: Config, factor: float) -> float | None:
    over, under = rope.optional_number("mscale"), rope.optional_number("mscale_all_dim")
    return _scale(factor, over) / _scale(factor, under) if over and under else None


def _scale(factor: float, weight: float = 1.0) -> float:
    """YaRN's default attention scale. ref: transformers `get_mscale`"""
    return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0
