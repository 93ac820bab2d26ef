"""Log probabilities of tokens, in the form of OpenAI's chat, which is Ollama's too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..reply import TokenLogprob


def logprobs_of(found: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    """Each token with those that were likeliest at its position."""
    return [_logprob(one) | {"top_logprobs": [*map(_logprob, one.top)]} for one in found]


def _logprob(one: TokenLogprob) -> dict[str, Any]:
    text = one.data.decode("utf-8", "replace")
    return {"token": text, "logprob": one.logprob, "bytes": list(one.data)}
