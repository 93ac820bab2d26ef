"""How fast each GPU is beside the CPU, for the matrices of one model: tried in a child process, once per machine and
model, since many a laptop's graphics are slower than its processor.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..errors import EngineError
from ..gguf_file import Header
from ..machine import Gpu
from . import child
from .measurements import measurements

logger = logging.getLogger("seallm_edge")

# A turn of a chat: tokens that are prefilled, and decoded.
PREFILL_TOKENS, DECODE_TOKENS = 256, 128
_TIMEOUT_SECONDS = 20
_PROBLEM_SECONDS = 24 * 3600  # after which a GPU that failed is tried again
_SPEEDUPS = (1e-6, 1e6)
_MAX_WORDS = 300
_RECORDS = measurements("gpus.json")
_GIVEN_UP: dict[str, str] = {}  # GPUs that failed in this process, by name: why


def compared(gpus: Sequence[Gpu], header: Header, fingerprint: str, *, measures: bool = True) -> tuple[Gpu, ...]:
    """The GPUs, each with its `speedup` for a model or its `problem`. Those of which nothing is known are measured;
    unless it `measures`, they stay as they are.
    """
    return tuple(_compared(gpu, header, fingerprint, measures) for gpu in gpus)


def _compared(gpu: Gpu, header: Header, fingerprint: str, measures: bool) -> Gpu:
    if gpu.name in _GIVEN_UP:
        return replace(gpu, problem=_GIVEN_UP[gpu.name])
    record = _checked(_RECORDS.find(_subject(gpu, fingerprint)))
    if record is None and measures and child.can_start():
        record = _measured(gpu, header)
        _keep(gpu, fingerprint, record)
    return replace(gpu, speedup=record.get("speedup"), problem=record.get("problem", "")) if record else gpu


def give_up(gpu: Gpu, fingerprint: str, problem: str) -> None:
    """Leave out a GPU that failed beneath a model: for the rest of this process, and with that model for a day."""
    record = _problem(problem)
    _GIVEN_UP[gpu.name] = record["problem"]
    _keep(gpu, fingerprint, record)


def _subject(gpu: Gpu, fingerprint: str) -> str:
    return f"{fingerprint} {gpu.description} {gpu.memory_total}"


def _keep(gpu: Gpu, fingerprint: str, record: dict[str, Any]) -> None:
    try:
        _RECORDS.keep(_subject(gpu, fingerprint), record)
    except OSError as error:
        logger.info("what is known of a GPU is not kept: %s", error)


def _problem(message: str) -> dict[str, Any]:
    words = "".join(letter if letter.isprintable() else " " for letter in message)
    return {"problem": words[:_MAX_WORDS], "time": time.time()}


def _measured(gpu: Gpu, header: Header) -> dict[str, Any]:
    """Record of a trial: `speedup`, or a `problem` and its time."""
    request = {"gpu": gpu.name, "matrices": layer_matrices(header), "n_layer": header.dimensions.n_layer}
    try:
        seconds = _ask(request)
    except EngineError as error:
        logger.warning("the GPU %s is not used: %s", gpu.description, error.message)
        return _problem(error.message)
    return {"speedup": min(max(speedup(seconds), _SPEEDUPS[0]), _SPEEDUPS[1])}


def speedup(seconds: dict[str, float]) -> float:
    """How many times as fast a GPU is in a turn of a chat, by the seconds per token of `gpu_speed_child.answer`."""
    if "gpu_prefill" not in seconds:
        return seconds["cpu_decode"] / seconds["gpu_decode"]
    cpu, gpu = (
        PREFILL_TOKENS * seconds[f"{name}_prefill"] + DECODE_TOKENS * seconds[f"{name}_decode"]
        for name in ("cpu", "gpu")
    )
    return cpu / gpu


def layer_matrices(header: Header) -> list[tuple[int, int, int]]:
    """(type id, columns, rows) of each matrix of the layer whose types are the most usual ones."""
    layers: dict[str, list[tuple[int, int, int]]] = {}
    for tensor in header.tensors:
        parts = tensor.name.split(".")
        if parts[0] == "blk" and len(tensor.shape) == 2:
            layers.setdefault(parts[1], []).append((tensor.type, tensor.shape[0], tensor.shape[1]))
    counted = Counter(tuple(sorted(layer)) for layer in layers.values())
    return [*counted.most_common(1)[0][0]] if counted else []


def _ask(request: dict[str, Any]) -> dict[str, float]:
    """The child's answer. Raises EngineError."""
    if not request["matrices"]:
        raise EngineError("the model has no matrices to try it with")
    result = child.run(f"{__package__}.gpu_speed_child", request=json.dumps(request), timeout=_TIMEOUT_SECONDS)
    if result.is_timed_out:
        raise EngineError(f"it gave no answer within {_TIMEOUT_SECONDS} s")
    if result.code != 0:
        said = child.tail(result.stderr)
        raise EngineError(said[-1] if result.code > 0 and said else f"its trial {child.end_of(result.code)}")
    found: dict[str, Any] = json.loads(result.stdout)
    child.raise_refusal(found)
    return found


def _checked(record: Any) -> dict[str, Any] | None:
    """A record that says something and still counts; else None."""
    if not isinstance(record, dict):
        return None
    match record:
        case {"speedup": float(factor)} if _SPEEDUPS[0] <= factor <= _SPEEDUPS[1]:
            return {"speedup": factor}
        case {"problem": str(problem), "time": float(when)} if problem.isprintable() and len(problem) <= _MAX_WORDS:
            return {"problem": problem} if 0 <= time.time() - when < _PROBLEM_SECONDS else None
    return None
