"""Many replies from one model: continuous batching over llama.cpp's context; prompts and KV states reused."""

from .contract import About, Engine, Request, Speculate, Speculation, Ticket, Vocabulary, no_speculation
from .output_queue import End, Feed, Piece
from .scripted import ScriptedEngine

__all__ = [
    "About",
    "End",
    "Engine",
    "Feed",
    "Piece",
    "Request",
    "ScriptedEngine",
    "Speculate",
    "Speculation",
    "Ticket",
    "Vocabulary",
    "no_speculation",
]
