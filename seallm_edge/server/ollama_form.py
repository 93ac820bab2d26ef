"""Ollama's form of errors and streams."""

from __future__ import annotations

from typing import Any

from .problems import Problem
from .replying import Framing
from .wire import encode


def error_body(problem: Problem) -> dict[str, Any]:
    """Body of a refusal."""
    return {"error": problem.message}


def _line(value: Any) -> bytes:
    return encode(value) + b"\n"


FRAMING = Framing("application/x-ndjson", _line, error=lambda problem: _line(error_body(problem)))
