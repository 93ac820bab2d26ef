"""Continuous batching over one llama.cpp context: many replies at once, with prefix caching in memory and on disk."""

from .contract import Engine, ModelInfo, NoSpeculation, Request, RequestHandle, Speculation, Vocabulary
from .output_queue import Finished, OutputQueue, Progress, TextDelta
from .scripted import ScriptedEngine
from .stats import EngineStats

__all__ = [
    "Engine",
    "EngineStats",
    "Finished",
    "ModelInfo",
    "NoSpeculation",
    "OutputQueue",
    "Progress",
    "Request",
    "RequestHandle",
    "ScriptedEngine",
    "Speculation",
    "TextDelta",
    "Vocabulary",
]
