"""Unicode text: NFC for input; whole characters and grapheme clusters for output. Knows bytes and text, not tokens."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterator, Sequence

_ZWJ = "\u200d"
_REGIONAL = range(0x1F1E6, 0x1F200)  # pairs of them are flags
# Characters that extend the one before them into one grapheme cluster: emoji styles, keycaps, skin tones, tags.
_JOINED = {_ZWJ, "\ufe0e", "\ufe0f", "\u20e3", *map(chr, range(0x1F3FB, 0x1F400)), *map(chr, range(0xE0020, 0xE0080))}
_LONE_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_PICTURES |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
MAX_CLUSTER = 64  # code points that are displayed as one; longer grapheme clusters are no text, and cost quadratic time


def normalize(text: str) -> str:
    """Normalize text to NFC, on which the tokenizer was trained; lone surrogates become U+FFFD.

    llama.cpp does not apply the tokenizer's normalizer: decomposed Vietnamese would cost 3.7 times the tokens.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.translate(_LONE_SURROGATES))
    return text


def graphemes(text: str) -> list[str]:
    """Extended grapheme clusters of `text`: the characters that a reader sees. ref: Unicode UAX #29"""
    import wcwidth

    return list(wcwidth.iter_graphemes(text))


def clusters(text: str) -> Iterator[str]:
    """Grapheme clusters of `text` for display, of `MAX_CLUSTER` code points at most."""
    start = 0
    while start < len(text):
        cluster = first_cluster(text, start)
        yield cluster
        start += len(cluster)


def first_cluster(text: str, start: int) -> str:
    """Grapheme cluster that begins at index `start` of `text`, of `MAX_CLUSTER` code points at most."""
    import wcwidth

    return next(wcwidth.iter_graphemes(text, start, min(len(text), start + MAX_CLUSTER)))


def visible(text: str) -> str:
    """Text with control characters as pictures, so that generated text cannot control the terminal.

    Line feeds and tabs remain, and so do joiners and bidirectional controls, which belong to the text.
    """
    return text.translate(_PICTURES)


class TextStream:
    """Incremental decoder from bytes to whole grapheme clusters, which gives text as early as possible.

    The texts joined are the decoded bytes up to the first `stop` string. A stop string matches composed and decomposed,
    and never inside an emoji that a reader sees as one. Each invalid byte sequence becomes one U+FFFD.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        forms = {unicodedata.normalize(form, text): text for text in reversed(stop) for form in ("NFC", "NFD")}
        self._stop = forms | {text: text for text in stop}  # each as it may come → as it was given
        self._unchecked = ""  # may be the beginning of a stop string
        self._cluster = ""  # the next character may extend it
        self.stop_text: str | None = None

    @property
    def stopped(self) -> bool:
        """Whether a stop string came."""
        return self.stop_text is not None

    @property
    def is_midway(self) -> bool:
        """Whether the bytes so far end inside an incomplete character."""
        return bool(self._characters.getstate()[0])

    def feed(self, data: bytes) -> str:
        """Text that is complete with `data`; empty after a stop string, see `stopped`."""
        return self._advance(self._characters.decode(data))

    def finish(self) -> str:
        """Text held back so far: the end of the bytes completes it."""
        text = self._advance(self._characters.decode(b"", final=True))
        rest = "" if self.stopped else self._cluster + self._before_stop(self._unchecked)
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
        """Prefix of `text` before any stop string, which no stop string can begin in."""
        first = self._find_stop(text)
        if first is not None and not _may_be_joined(text, first[1]):
            return self._before_stop(text)
        held = max(_overlap(text, stop) for stop in self._stop)
        if first is not None:
            held = max(held, len(text) - first[0])
        self._unchecked = text[len(text) - held :]
        return text[: len(text) - held]

    def _before_stop(self, text: str) -> str:
        """Prefix of `text` before the first stop string in it."""
        first = self._find_stop(text)
        if first is None:
            return text
        self.stop_text = first[2]
        self._unchecked = ""
        return text[: first[0]]

    def _find_stop(self, text: str) -> tuple[int, int, str] | None:
        """(start, end, string as it was given) of the first stop string in `text`."""
        found = ((_find(self._cluster, text, form), given) for form, given in self._stop.items())
        return min(((*span, given) for span, given in found if span), default=None)


def _find(before: str, text: str, stop: str) -> tuple[int, int] | None:
    """(start, end) of the first `stop` in `text`, which follows `before`, that splits no emoji."""
    whole, start = before + text, len(before)
    while (start := whole.find(stop, start)) >= 0:
        end = start + len(stop)
        if (stop[0] in _JOINED or not _is_inside_emoji(whole, start)) and not _is_inside_emoji(whole, end):
            return start - len(before), end - len(before)
        start += 1
    return None


def _is_inside_emoji(text: str, position: int) -> bool:
    """Whether the characters on both sides of `position` are parts of one emoji."""
    if not 0 < position < len(text):
        return False
    if ord(text[position]) in _REGIONAL:
        before = text[:position]
        n_regional = next((n for n, char in enumerate(reversed(before)) if ord(char) not in _REGIONAL), len(before))
        return n_regional % 2 == 1
    return text[position] in _JOINED or (text[position - 1] == _ZWJ and _is_symbol(text[position]))


def _may_be_joined(text: str, end: int) -> bool:
    """Whether the next character may extend the emoji at the end of a stop string."""
    return end == len(text) and _is_symbol(text[end - 1])


def _is_symbol(char: str) -> bool:
    return unicodedata.category(char) == "So"


def _length_of_open_cluster(text: str) -> int:
    """Number of characters at the end that the next one may extend."""
    if not text or text.endswith("\n"):  # a line feed always ends a cluster
        return 0
    return 1 if text.isascii() else len(graphemes(text)[-1])


def _overlap(text: str, stop: str) -> int:
    """Length of the longest suffix of `text` that is a prefix of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
