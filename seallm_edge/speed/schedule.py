"""`Schedule`: sizes and numbers of the tries of a speed measurement within its time. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

PROMPTS = (256, 128, 64, 32)  # tokens of the prompt, the longest first
MIN_REPLY, MAX_REPLY = 8, 64
MIN_PART, MAX_PART = 24, 96  # tokens of a language in one round
LANGUAGE_SHARE = 0.55  # of the time
MIN_ROUNDS, MAX_ROUNDS = 3, 15
LANGUAGE_ROUNDS = 2  # at least, where there is time for one
BANDWIDTH_SECONDS = 0.2


@dataclass(frozen=True)
class Schedule:
    """Sizes for a machine that prefills and decodes so many tokens/s: `seconds` are those of the whole measurement."""

    seconds: float
    prefill: float
    decode: float
    n_languages: int

    @property
    def n_prompt(self) -> int:
        """Tokens of the prompt: the most that MIN_ROUNDS turns have the time for, with a round to warm up."""
        seconds = self.seconds * (1 - LANGUAGE_SHARE) / (MIN_ROUNDS + 1)
        return next((n for n in PROMPTS if n / self.prefill <= seconds), PROMPTS[-1])

    @property
    def n_reply(self) -> int:
        """Tokens of the reply in a turn."""
        seconds = self.seconds * (1 - LANGUAGE_SHARE) / (MIN_ROUNDS + 1) / 2
        return max(MIN_REPLY, min(MAX_REPLY, int(seconds * self.decode)))

    @property
    def n_part(self) -> int:
        """Tokens of a language in one round; 0 where the time does not suffice for one round of the smallest parts."""
        n_tokens = self.seconds * LANGUAGE_SHARE * self.decode / self.n_languages  # for each language, in all rounds
        return 0 if n_tokens < MIN_PART else max(MIN_PART, min(MAX_PART, int(n_tokens / LANGUAGE_ROUNDS)))
