"""Run the SeaLLMs 3 models offline, in 12 languages of Southeast Asia.

from seallm_edge import SeaLLM

with SeaLLM("seallms-v3-1.5b-chat") as llm:
    for text in llm.stream("Apa ibu kota Indonesia?"):
        print(text, end="", flush=True)
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import Engine, EngineStats, Request, ScriptedEngine
    from .errors import (
        CheckpointError,
        ContextOverflow,
        ConversationNotFound,
        ConversionError,
        DocumentError,
        DraftTableError,
        EngineError,
        HashMismatch,
        HistoryError,
        HistoryUnavailable,
        HubError,
        InvalidOption,
        ModelFileError,
        ModelNotFound,
        NotEnoughMemory,
        OutputExists,
        SeaLLMError,
        UncertainEncoding,
    )
    from .hints import Hint
    from .llm import SeaLLM
    from .prompt.chatml import Message
    from .reply import FinishReason, Reply, Timings, TokenLogprob, Usage
    from .sampling import Sampling
    from .stream import AsyncStream, Stream

__version__ = "0.1.0"

# public name → its module, imported on first access, so that `import seallm_edge` stays fast
_HOMES = {
    "AsyncStream": "stream",
    "CheckpointError": "errors",
    "ContextOverflow": "errors",
    "ConversationNotFound": "errors",
    "DocumentError": "errors",
    "DraftTableError": "errors",
    "ConversionError": "errors",
    "Engine": "engine",
    "EngineError": "errors",
    "EngineStats": "engine",
    "FinishReason": "reply",
    "HashMismatch": "errors",
    "Hint": "hints",
    "HistoryError": "errors",
    "HistoryUnavailable": "errors",
    "HubError": "errors",
    "InvalidOption": "errors",
    "Message": "prompt.chatml",
    "ModelFileError": "errors",
    "ModelNotFound": "errors",
    "NotEnoughMemory": "errors",
    "OutputExists": "errors",
    "Reply": "reply",
    "Request": "engine",
    "Sampling": "sampling",
    "ScriptedEngine": "engine",
    "SeaLLM": "llm",
    "SeaLLMError": "errors",
    "StoreBusy": "errors",
    "StoreError": "errors",
    "Stream": "stream",
    "Timings": "reply",
    "TokenLogprob": "reply",
    "UncertainEncoding": "errors",
    "Usage": "reply",
}
__all__ = [
    "AsyncStream",
    "CheckpointError",
    "ContextOverflow",
    "ConversationNotFound",
    "ConversionError",
    "DocumentError",
    "DraftTableError",
    "Engine",
    "EngineError",
    "EngineStats",
    "FinishReason",
    "HashMismatch",
    "Hint",
    "HistoryError",
    "HistoryUnavailable",
    "HubError",
    "InvalidOption",
    "Message",
    "ModelFileError",
    "ModelNotFound",
    "NotEnoughMemory",
    "OutputExists",
    "Reply",
    "Request",
    "Sampling",
    "ScriptedEngine",
    "SeaLLM",
    "SeaLLMError",
    "StoreBusy",
    "StoreError",
    "Stream",
    "Timings",
    "TokenLogprob",
    "UncertainEncoding",
    "Usage",
    "__version__",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
