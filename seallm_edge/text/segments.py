"""Line-break opportunities: segments of text between which a line may end. Knows no widths.

A line may break after spaces and zero-width spaces, between Chinese or Japanese characters (but not before closing or
after opening punctuation), and between words of the scripts without spaces. ref: Unicode UAX #14, simplified: no break
after hyphens and slashes, so that URLs, options and paths stay whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from .unicode import MAX_CLUSTER, first_cluster
from .words import has_no_spaces, words

ZERO_WIDTH_SPACE = "\u200b"
MAX_SEGMENT = 1_000  # characters; longer than any line
MAX_UNDECIDED = 64  # code points without a space whose words are still open
_WORDS_AHEAD = (
    4  # that many words after a word decide where it ends: of 93 breaks 2 differ from those of the whole text
)
_CLUSTERS_AT_ONCE = 4  # a dictionary is asked after so many clusters: it takes longer than everything else
_EMOJI_STYLE = "\ufe0f"
_PLAIN = re.compile(r"[!-~]+|[ \t]+")
_GLUE = "\u00a0\u2007\u202f\u2060\ufeff"
_NO_BREAK_BEFORE = frozenset(
    "!%),.:;?]}¢°·’”†‡›»℃‰…、。々〉》」』】〕〗〙〛〜ー・！％），．：；？］｝～"
    "ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶ" + _GLUE
)
_NO_BREAK_AFTER = frozenset("$(£¥[{‘“‹«《〈「『【〔〖〘〚（［｛￡￥＄" + _GLUE)


def segments(text: str) -> list[str]:
    """Segments of `text`, between any two of which a line may break. Joined they are the text; spaces end a segment."""
    stream = SegmentStream()
    found: list[str] = []
    for segment in (*stream.feed(text), *stream.close()):
        if found and segment.isspace():
            found[-1] += segment
        else:
            found.append(segment)
    return found


class SegmentStream:
    """Incremental search for line-break opportunities: the segments do not depend on how the text is cut.

    Spaces come apart from the word before them, so that a word is known as soon as a space follows.
    """

    def __init__(self) -> None:
        self._segment = ""
        self._before = ""  # last cluster of the text so far
        self._run: list[str] = []  # clusters in a script without spaces, whose words are undecided
        self._tail = ""  # the next character may extend this cluster

    @property
    def undecided(self) -> str:
        """Text after the last complete segment, where it starts in a script without spaces; else nothing."""
        text = self._segment + "".join(self._run)
        return text if text and has_no_spaces(text[0]) else ""

    def feed(self, text: str) -> list[str]:
        """Segments that are complete with `text`."""
        found: list[str] = []
        for cluster in self._clusters(text, final=False):
            self._add(cluster, found)
        if self._tail and _is_space(self._tail[0]):  # whatever extends it
            self._end_run(found)
            self._end_segment(found)
        return found

    def close(self) -> list[str]:
        """Segments that the end of the text completes."""
        found: list[str] = []
        for cluster in self._clusters("", final=True):
            self._add(cluster, found)
        self._end_run(found)
        self._end_segment(found)
        self._before = ""
        return found

    def _clusters(self, text: str, *, final: bool) -> Iterator[str]:
        """Complete grapheme clusters; printable ASCII in longer strings, for speed."""
        text = self._tail + text
        start, length = 0, len(text)
        while start < length:
            plain = _PLAIN.match(text, start)
            end = plain.end() if plain else start
            if plain and (not text[end].isascii() if end < length else not final):
                end -= 1  # a combining mark may follow
            if end == start:
                end += len(first_cluster(text, start))
                if end == length and end - start < MAX_CLUSTER and not final:
                    break
            yield text[start:end]
            start = end
        self._tail = text[start:]

    def _add(self, cluster: str, found: list[str]) -> None:
        first = cluster[0]
        if first != ZERO_WIDTH_SPACE and has_no_spaces(first):
            self._run.append(cluster)
            if len(self._run) % _CLUSTERS_AT_ONCE == 0:
                self._decide_words(found)
            return
        self._end_run(found)
        if _is_space(first):
            self._end_segment(found)
            found.append(cluster)
        elif first == ZERO_WIDTH_SPACE:
            self._append(cluster, found)
            self._end_segment(found)
        else:
            self._append_or_break(cluster, found)
        self._before = cluster[-1] if cluster.isascii() else cluster

    def _decide_words(self, found: list[str]) -> None:
        """Take the words from the run that later clusters cannot change."""
        run = "".join(self._run)
        open_words = words(run)
        n_decided = max(len(open_words) - _WORDS_AHEAD, 1 if len(run) >= MAX_UNDECIDED else 0)
        for word in open_words[:n_decided]:
            self._take_word(word, found)

    def _end_run(self, found: list[str]) -> None:
        for word in words("".join(self._run)) if self._run else ():
            self._take_word(word, found)

    def _take_word(self, word: str, found: list[str]) -> None:
        n_clusters, length = 0, 0
        while length < len(word):
            length += len(self._run[n_clusters])
            n_clusters += 1
        if self._before and has_no_spaces(self._before[0]):
            self._end_segment(found)
            self._append(word, found)
        else:
            self._append_or_break(word, found)
        self._before = self._run[n_clusters - 1]
        del self._run[:n_clusters]

    def _append_or_break(self, text: str, found: list[str]) -> None:
        if self._before and _may_break(self._before, text):
            self._end_segment(found)
        self._append(text, found)

    def _append(self, text: str, found: list[str]) -> None:
        while len(self._segment) + len(text) > MAX_SEGMENT:
            n_fitting = MAX_SEGMENT - len(self._segment) if text.isascii() else 0
            self._segment += text[:n_fitting]
            text = text[n_fitting:]
            self._end_segment(found)
        self._segment += text

    def _end_segment(self, found: list[str]) -> None:
        if self._segment:
            found.append(self._segment)
            self._segment = ""


def _is_space(char: str) -> bool:
    return char.isspace() and char not in _GLUE


def _may_break(before: str, after: str) -> bool:
    """Whether a line may break between two clusters that are no spaces: one must be an ideograph, kana or emoji."""
    if before == ZERO_WIDTH_SPACE:
        return True
    if (before.isascii() and after[0].isascii()) or before[0] in _NO_BREAK_AFTER or after[0] in _NO_BREAK_BEFORE:
        return False
    return _is_ideographic(before) or _is_ideographic(after)


def _is_ideographic(cluster: str) -> bool:
    """Whether `cluster` is a wide character or an emoji, but not Korean, which has spaces."""
    first = cluster[0]
    if "\u1100" <= first <= "\u11ff" or "\uac00" <= first <= "\ud7a3":
        return False
    return unicodedata.east_asian_width(first) in "WF" or _EMOJI_STYLE in cluster
