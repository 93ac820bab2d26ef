"""`Constraint`: the allowed next tokens of one reply. Knows token ids, not schemas or grammars."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import InvalidOption
from .digits import DigitLimit
from .refusals import refusal

if TYPE_CHECKING:
    import numpy as np
    from llguidance import LLMatcher
    from numpy.typing import NDArray


class Constraint:
    """Constraint on one reply: accepts its tokens, and gives the allowed next ones. For one thread at a time.

    Every method raises InvalidOption after the parser has failed: the grammar exceeds the limits on ambiguity, or
    allows no next token.
    """

    def __init__(
        self,
        matcher: LLMatcher,
        n_tokens: int,
        ends: frozenset[int],
        what: str,
        digits: DigitLimit | None = None,
        bytes_of: Callable[[int], bytes] = lambda _: b"",
    ) -> None:
        self._matcher = matcher
        self._digits = digits
        self._bytes_of = bytes_of
        self._what = what
        self._n_tokens = n_tokens
        self._ends = ends
        self._n_accepted = 0

    @property
    def may_end(self) -> bool:
        """Whether the text so far is complete; more may follow."""
        return self._matcher.is_accepting()

    @property
    def is_complete(self) -> bool:
        """Whether the text so far is complete, and nothing but the end may follow."""
        return self._matcher.is_stopped() and not self._matcher.is_error()

    def allows(self, token: int) -> bool:
        """Whether `token` is allowed next, in microseconds; end-of-generation tokens are if the text is complete."""
        if token in self._ends:
            return self.may_end
        if not (0 <= token < self._n_tokens and self._matcher.validate_tokens([token]) == 1):
            return False
        return not (self._digits and self._digits.is_exceeded_by(token)) or bool(self.allowed()[token])

    def accept(self, token: int) -> None:
        """Accept `token`. Raises InvalidOption, and changes nothing, if it is not allowed next."""
        if not self.allows(token):
            self._raise_if_lost()
            raise InvalidOption(f"token {token} may not come next", "accept only tokens that are allowed")
        self._matcher.consume_token(token)
        if self._digits and token not in self._ends:
            self._digits.read(self._bytes_of(token))
        self._n_accepted += 1
        self._raise_if_lost()

    def mask(self, logits: NDArray[np.float32]) -> None:
        """Set the logits of tokens that are not allowed next to -inf, in place; shape (n_vocab,)."""
        import numpy as np

        np.putmask(logits[: self._n_tokens], ~self.allowed(), -np.inf)
        logits[self._n_tokens :] = -np.inf

    def allowed(self) -> NDArray[np.bool_]:
        """Mask of the tokens allowed next; shape (n_tokens,). Takes about 100 times as long as `allows`."""
        import numpy as np

        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._raise_if_lost()
        allowed = np.unpackbits(bits, bitorder="little", count=self._n_tokens).view(np.bool_)
        return self._digits.limit(allowed) if self._digits else allowed

    def _raise_if_lost(self) -> None:
        if self._matcher.is_error():
            raise refusal(self._matcher.get_error(), self._what, self._n_accepted)
