"""The step loop over llama.cpp's context: tokens in, tokens out."""

from .engine import Engine
from .sequence import Sequence

__all__ = ["Engine", "Sequence"]
