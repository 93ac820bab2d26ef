"""Measurements of models on this machine, as `Records` in the cache folder.

A measurement counts only where it was made: on this processor, with the same number of usable cores, the same build of
llama.cpp and the same `SEALLM_CPU_VARIANT`.
"""

from __future__ import annotations

from ..machine import this_machine
from . import symbols
from .backends import forced_variant
from .processor import cpu_identity
from .records import Records, file_facts, key_of


def measurements(name: str) -> Records:
    """Measurements by model fingerprint, in the file `name`. Their methods raise EngineError without llama.cpp."""
    return Records(name, "models", _machine_key)


def _machine_key() -> str:
    usable = this_machine().cores_usable
    return key_of(cpu_identity(), usable, forced_variant(), *file_facts(symbols.libllama_path()))
