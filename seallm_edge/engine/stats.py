"""`EngineStats`: what an engine does at this moment, and what it has done since it was made."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass
class Counters:
    """Totals that only grow, over unloading and loading again. Written by the engine's thread alone."""

    prefilled_tokens: int = 0
    generated_tokens: int = 0
    draft_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True)
class EngineStats:
    """Snapshot of an engine.

    running, waiting    requests that have a sequence, and requests that wait for one
    cells, cells_used   tokens that the KV cache holds at most, and now; 0 while the model is unloaded
    cached_sequences    finished sequences whose KV state is kept in cells for later prompts
    host_cache_bytes    bytes of KV states in host memory
    prefilled_tokens, generated_tokens, draft_tokens, accepted_tokens
                        totals: prompt tokens decoded, tokens sampled, draft tokens verified, and those accepted
    """

    running: int = 0
    waiting: int = 0
    cells: int = 0
    cells_used: int = 0
    cached_sequences: int = 0
    host_cache_bytes: int = 0
    prefilled_tokens: int = 0
    generated_tokens: int = 0
    draft_tokens: int = 0
    accepted_tokens: int = 0

    @property
    def draft_acceptance(self) -> float:
        """Share of verified draft tokens that were accepted; 0.0 where none was verified."""
        return self.accepted_tokens / self.draft_tokens if self.draft_tokens else 0.0

    def as_dict(self) -> dict[str, float]:
        """This as plain JSON values."""
        return dataclasses.asdict(self) | {"draft_acceptance": round(self.draft_acceptance, 4)}
