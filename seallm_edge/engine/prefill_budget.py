"""`PrefillBudget`: how many prompt tokens a step may take beside decoding sequences (chunked prefill). Learnt from
steps.
"""

from __future__ import annotations

# A step longer than a quarter of a second makes running replies stutter.
TARGET_SECONDS = 0.2
# Where the replies alone take that long, prompts may lengthen a step by so much: else they would never be read.
_LENGTHENING = 1.25
_FEWEST, _FIRST, _MOST = 4, 16, 1024  # tokens
_SLOWER, _FASTER = 0.5, 1.5
_NEWEST = 0.3  # weight of the newest step in an average


class PrefillBudget:
    """Adapts the budget so that mixed steps take `target` seconds."""

    def __init__(self, target: float = TARGET_SECONDS) -> None:
        self._target = target
        self._n_tokens = float(_FIRST)
        self._alone: dict[int, float] = {}  # rows of replies → seconds of a step of nothing else

    @property
    def n_tokens(self) -> int:
        """Prompt tokens for the next mixed step."""
        return int(self._n_tokens)

    def record(self, n_written: int, n_prompt: int, seconds: float) -> None:
        """Record a step of `n_written` decoded batch tokens and `n_prompt` prompt tokens."""
        if not n_written:
            return
        if not n_prompt:
            before = self._alone.get(n_written, seconds)
            self._alone[n_written] = before + _NEWEST * (seconds - before)
            return
        alone = self._alone.get(n_written, seconds * n_written / (n_written + n_prompt))
        factor = min(max(max(self._target, alone * _LENGTHENING) / max(seconds, 1e-6), _SLOWER), _FASTER)
        if factor < 1 or n_prompt >= self.n_tokens:  # a short chunk that was quick says nothing of a long one
            self._n_tokens = min(max(self._n_tokens * factor, _FEWEST), _MOST)
