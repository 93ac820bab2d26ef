"""Reply of a model: text, token counts, timings and log probabilities."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Usage:
    """Token and character counts; `cached_tokens` of the prompt were reused from the KV cache."""

    prompt_tokens: int
    cached_tokens: int
    reply_tokens: int
    reply_characters: int


@dataclass(frozen=True)
class Timings:
    """Seconds of a reply since its request: `prefill_seconds` to the end of prefill, `ttft_seconds` to the first text,
    `total_seconds` to the last.

    `tokens_per_step` counts tokens per decode step: above 1 where draft tokens were accepted. `speedup` estimates the
    decoding speed relative to decoding without draft tokens, by what steps cost.
    """

    prefill_seconds: float
    ttft_seconds: float
    total_seconds: float
    tokens_per_step: float = 1.0
    speedup: float = 1.0

    @property
    def prompt(self) -> float:
        """Alias of `prefill_seconds`."""
        return self.prefill_seconds

    @property
    def first_text(self) -> float:
        """Alias of `ttft_seconds`."""
        return self.ttft_seconds

    @property
    def total(self) -> float:
        """Alias of `total_seconds`."""
        return self.total_seconds

    @property
    def drafting_gain(self) -> float:
        """Alias of `speedup`."""
        return self.speedup

    @property
    def speedup_in_words(self) -> str:
        """Speed-up by speculative decoding in words, with a comma after it; "" where no draft token was accepted."""
        if self.tokens_per_step <= 1:
            return ""
        return f"{self.tokens_per_step:.2f} tokens a step by drafting ({self.speedup:.2f} times as fast), "

    def as_dict(self) -> dict[str, float]:
        """Field values by name, and by the aliases of earlier names."""
        aliases = {name: getattr(self, name) for name in ("prompt", "first_text", "total", "drafting_gain")}
        return dataclasses.asdict(self) | aliases


@dataclass(frozen=True)
class TokenLogprob:
    """Log probability of a token: its bytes, and the natural logarithm of its probability before sampling options;
    `top` has the most likely tokens at its position, with or without it, in falling order.
    """

    token: int
    data: bytes
    logprob: float
    top: tuple[TokenLogprob, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Fields as plain JSON values; bytes as a list of numbers, since a token may end inside a character."""
        shown = {"token": self.token, "bytes": list(self.data), "logprob": self.logprob}
        return shown | ({"top": [each.as_dict() for each in self.top]} if self.top else {})


@dataclass(frozen=True)
class Reply:
    """Whole reply. `finish_reason`: the model or a stop string ended it (`stop`), it reached `max_tokens` or the end of
    the context (`length`), or its reader closed it (`cancelled`). `logprobs`, if requested, has one entry for each
    token; `stop_text` is the stop string that ended it, if one did.
    """

    text: str
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    logprobs: tuple[TokenLogprob, ...] = ()
    stop_text: str | None = None

    @property
    def characters_per_second(self) -> float:
        """Characters per second of decoding, a speed that compares languages, which tokens do not."""
        return self.usage.reply_characters / max(self.timings.total_seconds - self.timings.prefill_seconds, 1e-9)

    @property
    def tokens_per_second(self) -> float:
        """Tokens per second of decoding."""
        return self.usage.reply_tokens / max(self.timings.total_seconds - self.timings.prefill_seconds, 1e-9)

    def as_dict(self) -> dict[str, Any]:
        """Fields and speeds as plain JSON values."""
        rates = {"characters_per_second": self.characters_per_second, "tokens_per_second": self.tokens_per_second}
        shown = dataclasses.asdict(dataclasses.replace(self, logprobs=())) | {"timings": self.timings.as_dict()}
        shown["logprobs"] = [each.as_dict() for each in self.logprobs]
        if not self.logprobs:
            del shown["logprobs"]
        if self.stop_text is None:
            del shown["stop_text"]
        return shown | {name: round(rate, 2) for name, rate in rates.items()}
