"""What a model answered, and what it cost."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Usage:
    """Sizes, in tokens and in characters; `cached_tokens` of the prompt were still in the KV cache."""

    prompt_tokens: int
    cached_tokens: int
    reply_tokens: int
    reply_characters: int


@dataclass(frozen=True)
class Timings:
    """Seconds: `prompt` until the prompt was read, `first_text` until the first text came, `total` for all.

    `tokens_per_step` is how many tokens a step after the prompt brought; more than 1 where guesses were right.
    `drafting_gain` is how many times as fast the reply was written as without guesses, estimated by what steps cost.
    """

    prompt: float
    first_text: float
    total: float
    tokens_per_step: float = 1.0
    drafting_gain: float = 1.0

    @property
    def drafting_in_words(self) -> str:
        """What guessing brought, with a comma after it; "" if it brought nothing."""
        if self.tokens_per_step <= 1:
            return ""
        return f"{self.tokens_per_step:.2f} tokens a step by guessing ({self.drafting_gain:.2f} times as fast), "


@dataclass(frozen=True)
class TokenLogprob:
    """A token, its bytes, and the natural logarithm of its probability before any sampling option; `top` has the
    likeliest at its place, itself or not, the likeliest first.
    """

    token: int
    data: bytes
    logprob: float
    top: tuple[TokenLogprob, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """This as plain JSON values; bytes as a list of numbers, since they need not be whole characters."""
        shown = {"token": self.token, "bytes": list(self.data), "logprob": self.logprob}
        return shown | ({"top": [each.as_dict() for each in self.top]} if self.top else {})


@dataclass(frozen=True)
class Reply:
    """A whole reply. `finish_reason`: the model ended it or a stop text came (`stop`), it reached `max_tokens` or
    the end of the context (`length`), or its reader closed it (`cancelled`). `logprobs`, where asked for, has one
    entry a token.
    """

    text: str
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    logprobs: tuple[TokenLogprob, ...] = ()

    @property
    def characters_per_second(self) -> float:
        """Characters a second once the prompt was read: what compares languages, as tokens do not."""
        return self.usage.reply_characters / max(self.timings.total - self.timings.prompt, 1e-9)

    @property
    def tokens_per_second(self) -> float:
        """Tokens a second once the prompt was read."""
        return self.usage.reply_tokens / max(self.timings.total - self.timings.prompt, 1e-9)

    def as_dict(self) -> dict[str, Any]:
        """This as plain JSON values."""
        rates = {"characters_per_second": self.characters_per_second, "tokens_per_second": self.tokens_per_second}
        shown = dataclasses.asdict(dataclasses.replace(self, logprobs=()))
        shown["logprobs"] = [each.as_dict() for each in self.logprobs]
        if not self.logprobs:
            del shown["logprobs"]
        return shown | {name: round(rate, 2) for name, rate in rates.items()}
