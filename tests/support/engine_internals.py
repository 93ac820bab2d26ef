"""Access to the inside of a loaded engine, for tests; all others use `llm.stats()`."""

from __future__ import annotations

from seallm_edge import SeaLLM
from seallm_edge.engine.core import EngineCore


def core_of(llm: SeaLLM) -> EngineCore:
    """The engine core of a loaded model."""
    return llm._engine._worker._loaded._core


def forget_everything(llm: SeaLLM) -> None:
    """Empty the KV cache and the host cache of an idle model, so that only snapshots on disk are left."""
    scheduler = core_of(llm).scheduler
    for slot in scheduler.slots.all:
        scheduler.slots.empty(slot)
    scheduler.cache._host_cache._entries.clear()
