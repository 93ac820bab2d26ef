"""Continuous batching over one llama.cpp context: many replies at once, with prefix caching in memory and on disk."""

from .contract import Engine, ModelInfo, Request, RequestHandle, Speculate, Speculation, Vocabulary, no_speculation
from .output_queue import Finished, OutputQueue, Progress, TextDelta
from .scripted import ScriptedEngine
from .stats import EngineStats

__all__ = [
    "Engine",
    "EngineStats",
    "Finished",
    "ModelInfo",
    "OutputQueue",
    "Progress",
    "Request",
    "RequestHandle",
    "ScriptedEngine",
    "Speculate",
    "Speculation",
    "TextDelta",
    "Vocabulary",
    "no_speculation",
]
