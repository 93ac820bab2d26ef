"""Wrapping of text with looks at line-break opportunities, incremental and append-only. Knows no escape sequences.

A line is filled to one cell less than the width: terminals differ in what a character in the last column does. A word
that does not fit goes to the next line; it is broken, between grapheme clusters, only where it is longer than a line.

Text shows as early as possible: a word as soon as a line-break opportunity follows it. In the scripts without spaces
this is known several words later. There a word that starts with `WORD_ROOM` cells left begins at once, cluster by
cluster, and is broken if it does not fit after all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from .segments import SegmentStream
from .unicode import clusters
from .width import cells
from .words import has_no_spaces

WORD_ROOM = 16  # cells; nearly all words of Thai, Lao, Khmer and Burmese are shorter

_SLICE = 512  # characters that are cut into segments at a time, which keeps the time linear

Look = TypeVar("Look")


def wrap(text: str, width: int, first_indent: str = "", indent: str = "") -> list[str]:
    """Lines of `text`, at most `width - 1` cells wide, without spaces at their ends. Line feeds end lines.

    The first line starts with `first_indent`, the others with `indent`. A cluster too wide for a line has its own.
    """
    wrapper: Wrapper[None] = Wrapper(width, lambda part, _: part)
    wrapper.indent([(first_indent, None)], [(indent, None)])
    shown = [output for line in text.split("\n") for output in (wrapper.add(line, None), wrapper.end_line())]
    return "".join(shown).split("\n")


class Wrapper(Generic[Look]):
    """Incremental wrapper: text with looks in, output for the terminal out, which never ends with a line feed.

    `paint(part, look)` gives a part of a line its look, without changing its width. The whole output does not depend on
    how the text is cut.
    """

    def __init__(self, width: int, paint: Callable[[str, Look], str]) -> None:
        self._width = width - 1
        self._paint = paint
        self._stream = SegmentStream()
        self._open: list[tuple[str, Look]] = []  # text whose segments are not complete
        self._n_early = 0  # characters of it that are shown
        self._spaces: list[tuple[str, Look]] = []  # shown with the next word, dropped at the end of a line
        self._first_indent: Sequence[tuple[str, Look]] = ()
        self._indent: Sequence[tuple[str, Look]] = ()
        self._column = self._first_column = 0
        self._is_started = False  # the line has its indent
        self._has_lines = False

    def indent(self, first: Sequence[tuple[str, Look]], others: Sequence[tuple[str, Look]]) -> None:
        """Set the indents of the next line and of those after it."""
        self._first_indent, self._indent = first, others

    def resize(self, width: int) -> None:
        """Wrap to another width from here on; the line under way continues at the start of a row."""
        self._width = width - 1
        self._column = 0

    def add(self, text: str, look: Look) -> str:
        """Output that is certain with `text`, which has no line feeds."""
        shown: list[str] = []
        for start in range(0, len(text), _SLICE):
            part = text[start : start + _SLICE]
            before = self._open.pop()[0] if self._open and self._open[-1][1] == look else ""
            self._open.append((before + part, look))
            for segment in self._stream.feed(part):
                self._place(segment, shown)
        self._show_early(shown)
        return "".join(shown)

    def end_line(self) -> str:
        """Rest of the line, its indent where it has no text. The next text starts another line."""
        shown: list[str] = []
        for segment in self._stream.close():
            self._place(segment, shown)
        if not self._is_started:
            self._start_line(shown)
        self._spaces.clear()
        self._is_started = False
        return "".join(shown)

    def whole_line(self, painted: str) -> str:
        """A line with its indent that is not wrapped, such as code: the terminal breaks it where it must."""
        shown: list[str] = []
        self._start_line(shown)
        self._is_started = False
        return "".join(shown) + painted

    def _place(self, segment: str, shown: list[str]) -> None:
        """Put a complete segment on this line, or on the next."""
        parts = self._take(len(segment))
        if segment.isspace():
            self._spaces += [(spaces.replace("\t", " "), look) for spaces, look in parts]
            return
        if self._n_early:
            parts = _without_beginning(parts, self._n_early)
            self._n_early = max(0, self._n_early - len(segment))
        elif self._is_started and not self._fits(segment):
            self._start_line(shown)
        self._write(parts, shown)

    def _take(self, length: int) -> list[tuple[str, Look]]:
        """First `length` characters of the open text."""
        rest = _without_beginning(self._open, length)
        taken = _beginning(self._open, length)
        self._open = rest
        return taken

    def _fits(self, segment: str) -> bool:
        left = self._width - self._column - sum(cells(spaces) for spaces, _ in self._spaces)
        return (left >= WORD_ROOM and has_no_spaces(segment[0])) or cells(segment) <= left

    def _show_early(self, shown: list[str]) -> None:
        """Show clusters of undecided words where `_fits` holds for whichever word they belong to."""
        undecided = self._stream.undecided
        for cluster in clusters(undecided[self._n_early :]):
            left = self._width - self._column - sum(cells(spaces) for spaces, _ in self._spaces)
            if (self._is_started and left < WORD_ROOM) or not has_no_spaces(cluster[0]):
                return
            [(_, look), *_] = _without_beginning(self._open, self._n_early)
            if self._paint(cluster, look) != cluster:
                return  # a painted word comes whole
            self._write([(cluster, look)], shown)
            self._n_early += len(cluster)

    def _write(self, parts: list[tuple[str, Look]], shown: list[str]) -> None:
        """Write text at the end of the line; where the line is full, break it between clusters."""
        if not self._is_started:
            self._start_line(shown)
        spaces, self._spaces = self._spaces, []
        for text, look in _merged([*spaces, *parts]):
            width, start, end = cells(text), 0, 0
            if self._column + width <= self._width:
                self._column += width
            else:
                for cluster in clusters(text):
                    width = cells(cluster)
                    if self._column + width > self._width and self._column > self._first_column:
                        shown.append(self._paint(text[start:end], look) if end > start else "")
                        start = end
                        self._start_line(shown)
                    end += len(cluster)
                    self._column += width
            shown.append(self._paint(text[start:], look))

    def _start_line(self, shown: list[str]) -> None:
        shown += ["\n"] if self._has_lines else []
        shown += [self._paint(text, look) for text, look in self._first_indent if text]
        self._column = self._first_column = sum(cells(text) for text, _ in self._first_indent)
        self._first_indent = self._indent
        self._spaces.clear()
        self._is_started = self._has_lines = True


def _merged(parts: Iterable[tuple[str, Look]]) -> list[tuple[str, Look]]:
    """Parts with equal looks side by side joined, empty ones left out."""
    merged: list[tuple[str, Look]] = []
    for text, look in parts:
        if merged and merged[-1][1] == look:
            merged[-1] = (merged[-1][0] + text, look)
        elif text:
            merged.append((text, look))
    return merged


def _beginning(parts: list[tuple[str, Look]], length: int) -> list[tuple[str, Look]]:
    """First `length` characters of `parts`."""
    taken = []
    for text, look in parts:
        if length <= 0:
            break
        taken.append((text[:length], look))
        length -= len(text)
    return taken


def _without_beginning(parts: list[tuple[str, Look]], length: int) -> list[tuple[str, Look]]:
    """Parts after the first `length` characters."""
    rest = []
    for text, look in parts:
        if length < len(text):
            rest.append((text[max(0, length) :], look))
        length -= len(text)
    return rest
