"""Persisted step costs: learning them takes hundreds of steps, more than a one-question run has.

A file is trusted no further than it checks out: damaged, unknown or out-of-range values are ignored.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..native.backends import load_backends
from ..native.measurements import measurements
from ..plan import Plan
from . import Remembered

_MAX_ROWS = 32  # beyond them draft tokens seldom pay, and the file stays small
_COSTS = (0.01, 1000.0)
_RECORDS = measurements("step-costs.json")

logger = logging.getLogger("seallm_edge")


def find(model_fingerprint: str, plan: Plan) -> dict[int, Remembered]:
    """Saved costs of this model run by such a plan on this machine; empty if there are none. Raises EngineError without
    llama.cpp.
    """
    record = _RECORDS.find(model_fingerprint)
    if not isinstance(record, dict) or record.get("settings") != _settings(plan):
        return {}
    return _checked(record.get("costs"))


def keep(model_fingerprint: str, plan: Plan, costs: Mapping[int, Remembered]) -> None:
    """Save `costs`, if there are any, in place of earlier ones. A disk error is logged, never raised."""
    if not costs:
        return
    kept = {
        str(n_batch_tokens): [round(cost, 4), age]
        for n_batch_tokens, (cost, age) in costs.items()
        if n_batch_tokens <= _MAX_ROWS
    }
    try:
        _RECORDS.keep(model_fingerprint, {"settings": _settings(plan), "costs": kept})
    except OSError as error:
        logger.info("what steps cost is not kept: %s", error)


def _settings(plan: Plan) -> list[Any]:
    """Settings that change what a step costs, as JSON values."""
    backends = load_backends()
    gpus = [gpu.description for gpu in backends.gpus] if plan.gpu_layers else []
    types = [plan.cache_type_k, plan.cache_type_v]
    return [backends.variant, gpus, plan.threads, plan.gpu_layers, plan.repack, plan.flash_attention, *types]


def _checked(costs: Any) -> dict[int, Remembered]:
    if not isinstance(costs, dict):
        return {}
    found = {}
    for n_batch_tokens in range(1, _MAX_ROWS + 1):
        match costs.get(str(n_batch_tokens)):
            case [cost, age] if _is_cost(cost) and type(age) is int and age >= 0:  # a bool is an int too
                found[n_batch_tokens] = Remembered(float(cost), age)
    return found if 1 in found else {}


def _is_cost(cost: Any) -> bool:
    return type(cost) in (int, float) and _COSTS[0] <= cost <= _COSTS[1]
