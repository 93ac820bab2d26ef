"""Context budget of a conversation: which of its turns are in the prompt. Knows token counts, not their texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..errors import InvalidOption
from ..hints import Hint

_MAX_RESERVED_SHARE = 0.25  # of the context
_KEPT_SHARE = 0.6


@dataclass(frozen=True)
class ContextBudget:
    """Policy for a full context: reply space, and the oldest turns.

    reply_tokens    context tokens kept free for a reply; in a small context at most a quarter of it
    when_full       "drop": the oldest turns leave the prompt; "stop": a full context is an error (ContextOverflow)

    The system message and the newest message always stay. When turns leave, 40% of the space becomes free at once: a
    prompt that begins elsewhere must be prefilled again, so this has to happen seldom, not at every turn.
    """

    reply_tokens: int = 512
    when_full: Literal["drop", "stop"] = "drop"

    def __post_init__(self) -> None:
        if isinstance(self.reply_tokens, bool) or not isinstance(self.reply_tokens, int) or self.reply_tokens < 1:
            raise InvalidOption(f"reply_tokens is {self.reply_tokens!r}", Hint("give a whole number above 0"))
        if self.when_full not in ("drop", "stop"):
            raise InvalidOption(f"when_full is {self.when_full!r}", Hint('give "drop" or "stop"'))

    def prompt_tokens(self, n_ctx: int) -> int:
        """Tokens that a prompt may take in a context of `n_ctx`."""
        return n_ctx - min(self.reply_tokens, int(n_ctx * _MAX_RESERVED_SHARE))

    def first_turn(self, n_turns: int, first: int, n_ctx: int, count: Callable[[int], int]) -> int:
        """Index of the oldest turn to keep in the prompt, `first` or later; the newest turn is always kept.

        `n_turns` is the number of turns with the newest, whose reply is to come; `count(i)` gives the tokens of the
        prompt that begins with turn `i`. It is called some 2 + log2(n_turns) times.
        """
        space = self.prompt_tokens(n_ctx)
        if self.when_full == "stop" or count(first) <= space:
            return first
        low, high = first + 1, n_turns - 1
        while low < high:  # the smallest index whose prompt leaves enough space: fewer turns are fewer tokens
            middle = (low + high) // 2
            if count(middle) <= space * _KEPT_SHARE:
                high = middle
            else:
                low = middle + 1
        return min(low, n_turns - 1)
