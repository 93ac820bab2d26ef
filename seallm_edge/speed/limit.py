"""`limit_of`: the bottleneck of decoding on a machine, in one sentence with its numbers. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..machine.contention import BUSY_SHARE

Kind = Literal["paging", "other programs", "threads", "gpu", "memory bandwidth", "computation"]
# Share of the bandwidth from which on it is the limit. A bare read is never interrupted by arithmetic, and decode is.
BANDWIDTH_SHARE = 0.6
_MAX_FAULTS = 1.0  # pages read from the disk per token


@dataclass(frozen=True)
class Circumstances:
    """Facts that decide the limit.

    tokens_per_second  of decode
    bytes_per_token    of weights that a decode step reads
    bandwidth          bytes per second that the threads of decode can read
    threads, cores     CPU threads of decode, and the performance cores that it might use
    is_tuned           whether the number of threads was found by measuring
    gpu_layers         layers that are on a GPU
    background         share of the processors' time that other programs took
    faults_per_token   pages read from the disk or the swap file per token; None where the system does not tell
    """

    tokens_per_second: float
    bytes_per_token: int
    bandwidth: float
    threads: int
    cores: int
    is_tuned: bool = False
    gpu_layers: int = 0
    background: float = 0.0
    faults_per_token: float | None = None

    @property
    def bytes_per_second(self) -> float:
        """Bytes of weights that decode reads per second."""
        return self.tokens_per_second * self.bytes_per_token

    @property
    def bandwidth_share(self) -> float:
        """Share of the bandwidth that decode reaches."""
        return self.bytes_per_second / self.bandwidth


@dataclass(frozen=True)
class Limit:
    """Bottleneck: its `kind`, and a sentence with numbers."""

    kind: Kind
    words: str


def limit_of(facts: Circumstances) -> Limit:
    """The bottleneck, the first of those that apply: what makes all figures too low comes before what they say."""
    if facts.faults_per_token is not None and facts.faults_per_token > _MAX_FAULTS:
        return Limit(
            "paging",
            f"Swapping limits this computer: {facts.faults_per_token:,.0f} pages a token came from the disk. "
            "Close programs, or take a smaller model.",
        )
    if facts.background > BUSY_SHARE:
        return Limit(
            "other programs",
            f"Other programs limit this computer: they took {facts.background:.0%} of the processors' time. "
            "Close them and measure again.",
        )
    if facts.gpu_layers:
        return Limit("gpu", f"The limit is not known: {_count(facts.gpu_layers, 'layer')} on a GPU.")
    if facts.threads < facts.cores and not facts.is_tuned:
        return Limit(
            "threads",
            f"Too few threads limit this computer: decode uses {facts.threads} of {facts.cores} performance cores.",
        )
    reads = (
        f"decode reads {facts.bytes_per_second / 1e9:.1f} GB of weights a second, {facts.bandwidth_share:.0%} of the "
        f"{facts.bandwidth / 1e9:.1f} that {_count(facts.threads, 'thread')} can read"
    )
    if facts.bandwidth_share >= BANDWIDTH_SHARE:
        return Limit("memory bandwidth", f"Memory bandwidth limits this computer: {reads}.")
    return Limit("computation", f"Computation limits this computer, not memory bandwidth: {reads}.")


def _count(n: int, name: str) -> str:
    verb = " is" if name == "layer" and n == 1 else " are" if name == "layer" else ""
    return f"{n} {name}{'' if n == 1 else 's'}{verb}"
