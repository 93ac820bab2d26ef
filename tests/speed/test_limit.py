"""The limit of a machine, in one sentence."""

from dataclasses import replace
from typing import Any

import pytest

from seallm_edge.speed import Circumstances, limit_of

# A model of 1 GB that is decoded at 20 tokens/s, on a machine that can read 25 GB/s.
FACTS = Circumstances(20.0, 1_000_000_000, 25e9, threads=4, cores=4, faults_per_token=0.01)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        (
            {},
            "memory bandwidth",
            "Memory bandwidth limits this computer: decode reads 20.0 GB of weights a second, 80% of the 25.0 that "
            "4 threads can read.",
        ),
        (
            {"tokens_per_second": 5.0, "threads": 1, "cores": 1},
            "computation",
            "Computation limits this computer, not memory bandwidth: decode reads 5.0 GB of weights a second, 20% of "
            "the 25.0 that 1 thread can read.",
        ),
        (
            {"threads": 1},
            "threads",
            "Too few threads limit this computer: decode uses 1 of 4 performance cores.",
        ),
        ({"threads": 1, "is_tuned": True}, "memory bandwidth", None),
        (
            {"background": 0.304, "threads": 1},
            "other programs",
            "Other programs limit this computer: they took 30% of the processors' time. Close them and measure again.",
        ),
        (
            {"faults_per_token": 1234.5, "background": 0.9},
            "paging",
            "Swapping limits this computer: 1,234 pages a token came from the disk. "
            "Close programs, or take a smaller model.",
        ),
        ({"faults_per_token": None}, "memory bandwidth", None),
        ({"gpu_layers": 29}, "gpu", "The limit is not known: 29 layers are on a GPU."),
        ({"gpu_layers": 1}, "gpu", "The limit is not known: 1 layer is on a GPU."),
    ],
)
def test_the_first_cause_that_applies_is_told(changes: dict[str, Any], kind: str, words: str | None) -> None:
    found = limit_of(replace(FACTS, **changes))
    assert found.kind == kind
    assert words is None or found.words == words
