"""Sampling fields of requests → options of `SeaLLM`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_N_SEEDS = (1 << 32) - 1  # those of `Sampling`


def same_named(fields: object, names: Sequence[str]) -> dict[str, Any]:
    """Options that a request calls as `Sampling` does, where it gives them."""
    return {name: value for name in names if (value := getattr(fields, name)) is not None}


def seed_of(seed: int | None, *, lowest: int) -> dict[str, int]:
    """The seed, within the range of `Sampling`; one below `lowest` means: at random."""
    return {} if seed is None or seed < lowest else {"seed": seed % _N_SEEDS}
