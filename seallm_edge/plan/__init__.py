"""`Plan` for a model on a machine: context, KV types, threads, batches, layers on the GPU, bytes. Raises
NotEnoughMemory before anything is loaded; loads and measures nothing itself.

`options` checks the loading options, `estimate` computes a plan's memory, `choice` takes the largest context that fits,
`explain` gives the reasons.
"""

from .choice import make_plan
from .options import KV_TYPES, LoadOptions, Measured
from .result import Plan

__all__ = ["KV_TYPES", "LoadOptions", "Measured", "Plan", "make_plan"]
