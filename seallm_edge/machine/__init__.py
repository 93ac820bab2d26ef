"""Hardware of this computer: cores by kind, SIMD, free memory."""

from .describe import Gpu, Machine, this_machine

__all__ = ["Gpu", "Machine", "this_machine"]
