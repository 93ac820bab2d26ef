"""Starts of Markdown lines: the quotes and list items that a line continues or opens, and the block that begins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

MAX_START = 200  # characters that decide what a line is; a longer start is text
MAX_DEPTH = 16  # quotes and list items in one another; further marks are text
_SPACES = re.compile(r"[ \t]*")
_NUMBER = re.compile(r"[0-9]{1,9}")
_TICKS = re.compile(r"`+|~+")
_MARKS_OF_RULE = frozenset("*-_")


class Kind(Enum):
    """Kind of block."""

    BLANK = auto()
    PARAGRAPH = auto()
    HEADING = auto()
    FENCE = auto()
    ROW = auto()  # of a table, perhaps
    RULE = auto()
    EMPTY_ITEM = auto()


@dataclass
class Container:
    """Quote, or list item with its marker and the column of the marker."""

    marker: str  # ">" for a quote
    column: int
    is_shown: bool = False

    @property
    def is_quote(self) -> bool:
        """Whether this is a quote, not a list item."""
        return self.marker == ">"


@dataclass(frozen=True)
class Start:
    """Start of a line: how many containers it continues, which it opens, what block begins, and from where."""

    n_continued: int
    opened: tuple[Container, ...]
    kind: Kind
    end: int  # index of the block's text in the line
    column: int


class _Reader:
    """Reading position in the start of a line."""

    def __init__(self, line: str, *, is_whole: bool) -> None:
        self.line = line[:MAX_START]
        self.is_whole = is_whole and len(line) <= MAX_START
        self.is_too_long = len(line) > MAX_START
        self.index = self.column = 0

    def skip_spaces(self) -> None:
        for char in _SPACES.match(self.line, self.index)[0]:  # type: ignore[index]  # it always matches
            self.column += 4 - self.column % 4 if char == "\t" else 1
            self.index += 1

    def skip_marker(self, length: int) -> None:
        """Skip a marker and one space after it."""
        self.index += length
        self.column += length
        if self.peek() in (" ", "\t"):
            self.index += 1
            self.column += 1

    def peek(self, ahead: int = 0) -> str:
        """Character of the line, "" at its end. Raises EOFError where it has not come yet."""
        index = self.index + ahead
        if index >= len(self.line) and not self.is_whole:
            raise EOFError
        return self.line[index : index + 1]


def read_start(line: str, containers: Sequence[Container], *, is_whole: bool) -> Start | None:
    """Start of `line` after lines that left `containers` open; None where more of the line must come."""
    reader = _Reader(line, is_whole=is_whole)
    n_continued = 0
    opened: list[Container] = []
    try:
        n_continued = _continue(reader, containers)
        while n_continued + len(opened) < MAX_DEPTH and (container := _open(reader)):
            opened.append(container)
        kind = _kind(reader)
    except EOFError:
        if not reader.is_too_long:
            return None
        kind = Kind.PARAGRAPH
    if kind is Kind.BLANK and opened and not opened[-1].is_quote:
        kind = Kind.EMPTY_ITEM
    return Start(n_continued, tuple(opened), kind, reader.index, reader.column)


def _continue(reader: _Reader, containers: Sequence[Container]) -> int:
    """Number of containers that the line continues. A list item's text is indented by two columns or more."""
    for n, container in enumerate(containers):
        reader.skip_spaces()
        char = reader.peek()
        if container.is_quote and char == ">":
            reader.skip_marker(1)
        elif container.is_quote or (char and reader.column < container.column + 2):
            return n
    return len(containers)


def _open(reader: _Reader) -> Container | None:
    """Container that begins here."""
    reader.skip_spaces()
    char, column = reader.peek(), reader.column
    if char == ">":
        reader.skip_marker(1)
        return Container(">", column)
    if char in _MARKS_OF_RULE and _is_rule(reader):
        return None
    length = _length_of_marker(reader)
    if not length or reader.peek(length) not in ("", " ", "\t"):
        return None
    marker = reader.line[reader.index : reader.index + length]
    reader.skip_marker(length)
    return Container("•" if length == 1 else marker, column)


def _length_of_marker(reader: _Reader) -> int:
    """Length of what may be a list marker, 0 for anything else."""
    if reader.peek() in ("-", "*", "+"):
        return 1
    number = _NUMBER.match(reader.line, reader.index)
    length = len(number[0]) if number else 0
    return length + 1 if length and reader.peek(length) in (".", ")") else 0


def _is_rule(reader: _Reader) -> bool:
    """Whether the rest of the line is a thematic break: three marks of one kind or more, and spaces."""
    mark, count, ahead = reader.peek(), 0, 0
    while (char := reader.peek(ahead)) and char in (mark, " ", "\t"):
        count += char == mark
        ahead += 1
    return not char and count >= 3


def _kind(reader: _Reader) -> Kind:
    """Kind of the block whose text begins here, after the marks of a heading."""
    reader.skip_spaces()
    char = reader.peek()
    if not char:
        return Kind.BLANK
    if char == "|":
        return Kind.ROW
    if char in _MARKS_OF_RULE and _is_rule(reader):
        return Kind.RULE
    if char in "`~" and _is_fence(reader):
        return Kind.FENCE
    if char == "#":
        n_marks = 1
        while reader.peek(n_marks) == "#":
            n_marks += 1
        if n_marks <= 6 and reader.peek(n_marks) in ("", " ", "\t"):
            reader.skip_marker(n_marks)
            return Kind.HEADING
    return Kind.PARAGRAPH


def _is_fence(reader: _Reader) -> bool:
    """Whether the rest of the line, which must be whole, opens fenced code."""
    run = _TICKS.match(reader.line, reader.index)
    n_marks = len(run[0]) if run else 0
    if reader.peek(n_marks) and n_marks < 3:
        return False
    ahead = n_marks
    while char := reader.peek(ahead):
        if char == "`" == reader.peek():
            return False
        ahead += 1
    return n_marks >= 3
