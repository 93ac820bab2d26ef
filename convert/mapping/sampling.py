"""Sampling defaults: `generation_config.json` → the `general.sampling.*` keys.

The keys, types and order are those of llama.cpp's converter.
ref: llama.cpp `gguf-py/gguf/metadata.py` (`Metadata.load`, `set_gguf_meta_model`)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seallm_edge.gguf_file import encode

_MAX_F32, _MAX_I32 = 3.4028234663852886e38, 2**31 - 1
_SETTINGS = (  # key, its names in generation_config.json (the first one present decides), its type
    ("sequence", ("sequence",), "text"),
    ("top_k", ("top_k",), "whole number"),
    ("top_p", ("top_p",), "number"),
    ("min_p", ("min_p",), "number"),
    ("xtc_probability", ("xtc_probability",), "number"),
    ("xtc_threshold", ("xtc_threshold",), "number"),
    ("temp", ("temperature",), "number"),
    ("penalty_last_n", ("penalty_last_n",), "whole number"),
    ("penalty_repeat", ("penalty_repeat", "repetition_penalty"), "number"),
    ("mirostat", ("mirostat",), "whole number"),
    ("mirostat_tau", ("mirostat_tau",), "number"),
    ("mirostat_eta", ("mirostat_eta",), "number"),
)


def sampling_metadata(generation_config: Mapping[str, Any]) -> tuple[Mapping[str, bytes], tuple[str, ...]]:
    """The sampling keys, encoded, and a note for each setting that has the wrong type and is left out."""
    values, notes = {}, []
    for key, names, kind in _SETTINGS:
        name = next((name for name in names if name in generation_config), None)
        value = generation_config[name] if name else None
        if value is None:
            continue
        encoded = _encoded(value, kind)
        if encoded is None:
            notes.append(f"generation_config.json: {name} is {value!r:.40}, not a {kind}: left out")
        else:
            values[f"general.sampling.{key}"] = encoded
    return values, tuple(notes)


def _encoded(value: Any, kind: str) -> bytes | None:
    if kind == "text":
        return encode.text(value) if isinstance(value, str) and value.isascii() else None
    if kind == "whole number":
        return encode.i32(value) if type(value) is int and abs(value) <= _MAX_I32 else None
    return encode.f32(value) if type(value) in (int, float) and abs(value) <= _MAX_F32 else None
