"""Measurements of models on this machine, as `Records` in the cache folder.

A measurement counts only where it was made: on this processor, with the same number of usable cores, the same build of
llama.cpp, the same `SEALLM_CPU_VARIANT` and `SEALLM_KERNELS`.
"""

from __future__ import annotations

from ..machine import this_machine
from . import symbols
from .backends import forced_variant, kernels_setting
from .processor import cpu_identity
from .records import Records, file_facts, key_of


def measurements(name: str) -> Records:
    """Measurements by model fingerprint, in the file `name`. Their methods raise EngineError without llama.cpp."""
    return Records(name, "models", _machine_key)


def _machine_key() -> str:
    usable = this_machine().cores_usable
    settings = (forced_variant(), kernels_setting())
    return key_of(cpu_identity(), usable, *settings, *file_facts(symbols.libllama_path()))
