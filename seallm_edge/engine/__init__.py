"""Many replies from one model: continuous batching over llama.cpp's context; prompts and KV states reused."""

from .contract import About, Drafter, Engine, NoDrafts, Request, Ticket, Vocabulary
from .feed import End, Feed, Piece
from .scripted import ScriptedEngine

__all__ = [
    "About",
    "Drafter",
    "End",
    "Engine",
    "Feed",
    "NoDrafts",
    "Piece",
    "Request",
    "ScriptedEngine",
    "Ticket",
    "Vocabulary",
]
