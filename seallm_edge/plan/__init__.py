"""A model and a machine → a `Plan`: context, KV types, threads, batches, layers on the GPU, bytes. Or why not, before
anything is loaded. Nothing is loaded or measured here.

`options` are checked, `estimate` counts what a context takes, `choice` takes the largest that fits, `explain` says why.
"""

from .choice import make_plan
from .options import KV_TYPES, LoadOptions, Measured
from .result import Plan

__all__ = ["KV_TYPES", "LoadOptions", "Measured", "Plan", "make_plan"]
