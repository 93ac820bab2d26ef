"""`EngineBench`: throughput of an engine, with teacher forcing: its replies are a given text, at the speed of sampled
ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..engine import Engine, Request
from ..reply import Reply
from ..stream import Stream
from ..text.prose import PROSE
from ..text.unicode import normalize


@dataclass(frozen=True)
class RequestSpeed:
    """Speeds of one request: prefill and decode in tokens/s, seconds to the first token."""

    prefill: float
    ttft_seconds: float
    decode: float


class EngineBench:
    """Bench of one engine, whose prefix cache must be off."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with engine.vocabulary() as vocabulary:
            self.texts = {code: vocabulary.tokenize(normalize(text)) for code, text in PROSE.items()}
        self._all = [token for tokens in self.texts.values() for token in tokens]

    def request(self, n_prompt: int, n_reply: int) -> RequestSpeed:
        """Prefill of `n_prompt` tokens and decode of `n_reply` behind them, without draft tokens."""
        reply = self._reply(_repeated(self._all, n_prompt), _repeated(self.texts["en"], n_reply), is_drafted=False)
        timings = reply.timings
        return RequestSpeed(n_prompt / timings.prefill_seconds, timings.ttft_seconds, decode_speed(reply))

    def drafting_gain(self, tokens: Sequence[int]) -> float:
        """Speed of decoding `tokens` with draft tokens, relative to the same without.

        Each step's time without its draft tokens is computed from what steps of one and of several batch tokens cost
        here. So other programs slow down both alike, as two measurements one after the other would not be.
        """
        return self._reply(self.texts["en"][:2], tokens, is_drafted=True).timings.speedup

    def characters_per_token(self, code: str) -> float:
        """Characters of a language that one token stands for: code points of its prose in NFC."""
        return len(normalize(PROSE[code])) / len(self.texts[code])

    def part(self, code: str, number: int, n_tokens: int) -> list[int]:
        """Part of a language's prose; the next `number` begins where this one ends, and the text begins again."""
        tokens = self.texts[code]
        start = number * n_tokens % len(tokens)
        return _repeated(tokens[start:] + tokens[:start], n_tokens)

    def _reply(self, prompt: Sequence[int], forced: Sequence[int], *, is_drafted: bool) -> Reply:
        sampling = self._engine.info.sampling.replace({"max_tokens": len(forced)})
        request = Request(prompt, sampling, forced=forced, is_drafted=is_drafted)
        return Stream(self._engine.submit(request), len(prompt)).read()


def decode_speed(reply: Reply) -> float:
    """Tokens per second after the prefill, whose logits gave the first token."""
    seconds = reply.timings.total_seconds - reply.timings.prefill_seconds
    return (reply.usage.reply_tokens - 1) / max(seconds, 1e-9)


def _repeated(tokens: Sequence[int], n: int) -> list[int]:
    return [tokens[i % len(tokens)] for i in range(n)]
