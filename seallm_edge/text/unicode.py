"""Faithful text: NFC in; whole characters and whole grapheme clusters out. Knows bytes and text, not tokens."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Sequence

_LONE_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def normalize(text: str) -> str:
    """`text` in NFC, as the tokenizer was trained on; what is no Unicode character becomes U+FFFD.

    llama.cpp does not apply the tokenizer's normalizer: decomposed Vietnamese would cost 3.7 times the tokens.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.translate(_LONE_SURROGATES))
    return text


def graphemes(text: str) -> list[str]:
    """The extended grapheme clusters of `text`: what a reader takes for one character. ref: Unicode UAX #29"""
    import wcwidth

    return list(wcwidth.iter_graphemes(text))


class TextStream:
    """Bytes in, readable text out, as early as it is safe to show.

    Gives whole grapheme clusters; the pieces join to the bytes' own text, up to the first `stop` text. Bytes that
    can never become a character come out as one U+FFFD a sequence.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop = tuple(stop)
        self._unchecked = ""  # may be the beginning of a stop text
        self._cluster = ""  # may go on with the next character
        self.stopped = False

    @property
    def is_midway(self) -> bool:
        """Whether the bytes so far end inside a character that more bytes can complete."""
        return bool(self._characters.getstate()[0])

    def feed(self, data: bytes) -> str:
        """What can be shown now that `data` has come; nothing after a stop text, see `stopped`."""
        return self._advance(self._characters.decode(data))

    def finish(self) -> str:
        """The rest: nothing is held back at the end."""
        text = self._advance(self._characters.decode(b"", final=True))
        rest = "" if self.stopped else self._cluster + self._unchecked
        self._cluster = self._unchecked = ""
        return text + rest

    def _advance(self, text: str) -> str:
        if self.stopped or not text:
            return ""
        text = self._cluster + (self._check_stop(self._unchecked + text) if self._stop else text)
        held = 0 if self.stopped else _length_of_open_cluster(text)
        self._cluster = text[len(text) - held :]
        return text[: len(text) - held]

    def _check_stop(self, text: str) -> str:
        """The part of `text` that is before any stop text and can be no beginning of one."""
        hits = [position for position in map(text.find, self._stop) if position >= 0]
        if hits:
            self.stopped = True
            self._unchecked = ""
            return text[: min(hits)]
        held = max((_overlap(text, stop) for stop in self._stop), default=0)
        self._unchecked = text[len(text) - held :]
        return text[: len(text) - held]


def _length_of_open_cluster(text: str) -> int:
    """How many characters at the end may still go on with the next one."""
    if not text or text.endswith("\n"):  # a cluster never goes on after a line feed
        return 0
    return 1 if text.isascii() else len(graphemes(text)[-1])


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of `text` that begins `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
