"""`Sampling`: sampling options of a reply. Generation defaults are defined here only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import InvalidOption, did_you_mean

# option → (lowest, highest) value, both allowed
_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 100),
    "top_p": (0, 1),
    "top_k": (0, 1 << 30),
    "min_p": (0, 1),
    "repeat_penalty": (0.01, 100),
    "repeat_last_n": (0, 1 << 30),
    "presence_penalty": (-100, 100),
    "frequency_penalty": (-100, 100),
    "seed": (0, (1 << 32) - 2),
    "max_tokens": (0, 1 << 30),
    "logprobs": (0, 20),
}
_MAY_BE_NONE = ("seed", "max_tokens", "logprobs")
_MAX_BIAS = 1e6


@dataclass(frozen=True)
class Sampling:
    """Sampling options of one reply. The defaults are those of SeaLLMs-v3's generation_config.json; it has no `top_k`,
    so that Transformers' default holds, with which its authors' examples ran.

    temperature    0 always takes the most likely token
    top_p, min_p   1 and 0 are off; `top_k` 0 is off
    repeat_penalty lowers the logits of the last `repeat_last_n` tokens, prompt included; 1 is off
    presence_penalty, frequency_penalty
                   are subtracted from the logits of the same tokens, once and once for each occurrence; 0 is off
    seed           0 to 2**32 - 2; None draws a random one for each reply
    max_tokens     maximum tokens of the reply, plus up to 3 that complete a character; None ends at the end of the
                   context, 0 only prefills the prompt
    stop           strings that end a reply and are not part of it; they match composed and decomposed, and never inside
                   an emoji
    logit_bias     token → number added to its logit before sampling: -100 forbids it, 100 forces it
    logprobs       log probability of each token, and of this many most likely tokens at its position (0 to 20)
    """

    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 50
    min_p: float = 0.0
    repeat_penalty: float = 1.05
    repeat_last_n: int = 64
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    max_tokens: int | None = 512
    stop: tuple[str, ...] = ()
    logit_bias: Mapping[int, float] = dataclasses.field(default_factory=dict, hash=False)
    logprobs: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", _as_texts(self.stop))
        object.__setattr__(self, "logit_bias", _as_bias(self.logit_bias))
        for name, (lowest, highest) in _RANGES.items():
            _check(name, getattr(self, name), lowest, highest)

    def replace(self, options: Mapping[str, Any]) -> Sampling:
        """Sampling with `options` changed; None keeps the present value of options that cannot be None.

        Raises InvalidOption for a name that does not exist or a value out of range.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in options:
            if name not in known:
                raise InvalidOption(
                    f"no sampling option {name!r}{did_you_mean(name, known)}", f"the options are {' '.join(known)}"
                )
        kept = {n: v for n, v in options.items() if v is not None or n in _MAY_BE_NONE}
        return dataclasses.replace(self, **kept)


def _as_texts(stop: object) -> tuple[str, ...]:
    texts = (stop,) if isinstance(stop, str) else stop
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise InvalidOption(f"stop is {stop!r}", "give a text, or a list of texts")
    return tuple(text for text in texts if text)


def _as_bias(bias: object) -> dict[int, float]:
    """Logit bias with integer keys, which are strings in JSON. Raises InvalidOption."""
    if not isinstance(bias, Mapping):
        raise InvalidOption(f"logit_bias is {bias!r:.80}", "give a mapping from token ids to numbers")
    found: dict[int, float] = {}
    for key, value in bias.items():
        token = int(key) if isinstance(key, str) and key.isascii() and key.isdecimal() else key
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MAX_BIAS
        if isinstance(token, bool) or not isinstance(token, int) or token < 0 or not is_number:
            raise InvalidOption(
                f"logit_bias has {key!r:.40}: {value!r:.40}", "give token ids, and numbers such as -100"
            )
        found[token] = float(value)
    return found


def _check(name: str, value: object, lowest: float, highest: float) -> None:
    if value is None and name in _MAY_BE_NONE:
        return
    whole = isinstance(Sampling.__dataclass_fields__[name].default, int | None)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise InvalidOption(f"{name} is {value!r}", f"give a {'whole ' if whole else ''}number")
    if not lowest <= value <= highest:  # NaN fails here too
        raise InvalidOption(f"{name} is {value}", f"give a number from {lowest:,} to {highest:,}")
