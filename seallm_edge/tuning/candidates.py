"""Candidate settings of a machine: the values of each setting that are worth measuring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..machine import Gpu, Machine
from ..native.backends import Backends, forced_variant

_WORTH_TRYING = 0.3  # times as fast as the CPU
_FASTER = 10.0
BATCHES = (64, 128, 256)  # the workload's prompt is no longer, so larger ones could not show themselves
# Without AVX-512, which makes some processors lower their clock.
NARROW = ("alderlake", "haswell")


def choices(machine: Machine, backends: Backends, most_gpu_layers: int = 0) -> dict[str, Sequence[Any]]:
    """The values that each setting may have here, in the order in which they are tried. `most_gpu_layers` fit on GPUs
    that are worth trying: with them, none and half of them are tried too.
    """
    layers = sorted({0, most_gpu_layers // 2, most_gpu_layers})
    return {
        **({"gpu_layers": layers} if most_gpu_layers else {}),
        "threads": thread_counts(machine.threads, machine.cores_usable),
        "repack": (True, False),
        "variant": variants(backends),
        "n_batch": BATCHES,
    }


def worth_trying(gpus: Sequence[Gpu]) -> list[Gpu]:
    """GPUs that may turn out to be faster than a first measurement said, to be planned with as if they were."""
    return [
        replace(gpu, speedup=_FASTER) for gpu in gpus if not gpu.problem and (gpu.speedup or _FASTER) >= _WORTH_TRYING
    ]


def thread_counts(default: int, usable: int) -> list[int]:
    """Numbers of threads worth trying: about the default, all cores, and one where it is nearly the default."""
    near = {default // 2, default - 1, default, default + 1, (default + usable) // 2, usable}
    return sorted(n for n in near | ({1} if default <= 4 else set()) if 1 <= n <= usable)


def variants(backends: Backends) -> list[str]:
    """CPU variants worth trying: the chosen one, the next best, and another kind; none but the user's, if there is."""
    if forced_variant():
        return [backends.variant]
    others = [name for name in backends.possible if name != backends.variant]
    narrow = [name for name in others[1:] if name in NARROW]
    return [backends.variant, *others[:1], *(narrow or others[1:])[:1]]
