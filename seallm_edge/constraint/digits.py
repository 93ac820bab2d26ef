"""Digit limit for numbers in JSON, so that they end. Knows JSON text and tokens' bytes, no schemas.

A schema bounds a number's value, not its length, and a greedy model can write 0.1111… up to the last token. So an
integer, a fraction and an exponent each hold at most 16 digits, as in llama.cpp's grammars, or the digits of the
longest number in the schema.
ref: llama.cpp common/json-schema-to-grammar.cpp, PRIMITIVE_RULES
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_DIGITS = 16
_DIGITS = frozenset(b"0123456789")
_QUOTE, _BACKSLASH = b'"\\'


def digits_of(number: int | float) -> int:
    """Number of digits of the longer part of a number, written without an exponent."""
    whole, _, fraction = format(abs(Decimal(repr(number))), "f").partition(".")
    return max(len(whole), len(fraction))


class TokenDigits:
    """Number of leading digits of each token, and whether it begins with a zero; made once for a vocabulary."""

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        import numpy as np

        self.leading: NDArray[np.int32] = np.fromiter(map(_n_leading, token_bytes), np.int32, len(token_bytes))
        self.zero: NDArray[np.bool_] = np.fromiter(
            (data[:1] == b"0" for data in token_bytes), np.bool_, len(token_bytes)
        )
        self.longest = int(self.leading.max(initial=0))


class DigitLimit:
    """Digit limit for one JSON text: bounds the digits of the current part of a number."""

    def __init__(self, tokens: TokenDigits, most: int) -> None:
        self._tokens = tokens
        self._most = most
        self._n_digits = 0
        self._is_string = False
        self._is_escaped = False

    def read(self, data: Iterable[int]) -> None:
        """Add the bytes of an accepted token."""
        for byte in data:
            if self._is_string:
                self._is_string = byte != _QUOTE or self._is_escaped
                self._is_escaped = byte == _BACKSLASH and not self._is_escaped
            else:
                self._n_digits = self._n_digits + 1 if byte in _DIGITS else 0
                self._is_string = byte == _QUOTE

    def is_exceeded_by(self, token: int) -> bool:
        """Whether `token` would make a part of a number too long."""
        return not self._is_string and bool(self._tokens.leading[token] > self._n_left)

    def limit(self, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Allowed tokens without those that would make a part of a number too long.

        If the number cannot end yet, such as 0.100000… above an exclusive minimum of 0.1, only tokens that begin with
        a zero are removed.
        """
        if self._is_string or self._tokens.longest <= self._n_left:
            return allowed
        for kept in (allowed & (self._tokens.leading <= self._n_left), allowed & ~self._tokens.zero):
            if kept.any():
                return kept
        return allowed

    @property
    def _n_left(self) -> int:
        return max(self._most - self._n_digits, 0)


def _n_leading(data: bytes) -> int:
    return len(data) - len(data.lstrip(b"0123456789"))
