"""Tables: aligned columns where every terminal agrees about widths, else a line for each cell."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import zip_longest

from ..text.width import cells, is_disputed
from .inline import InlineParser, Part
from .leaves import Leaf, Paragraph
from .line_starts import Container, Kind, Start
from .page import Page
from .style import Attributes, Look

MAX_ROW = 4_000  # characters; a longer line is text
MAX_ROWS = 200  # a longer table comes in parts, each with the head
MAX_COLUMNS = 100
_GAP = "  "
_HANG = "    "
_BARS = re.compile(r"(?<!\\)\|")
_DELIMITER = re.compile(r":?-+:?")

Cell = list[Part]


class TableLeaf(Leaf):
    """Lines that begin with `|`: a table if the second one delimits its head, else a paragraph.

    A table is held back whole, as all of its rows decide the columns.
    """

    continued_by = Kind.ROW

    def __init__(self, page: Page, start: Start, containers: list[Container]) -> None:
        super().__init__(page, start, containers)
        self._start, self._containers = start, containers
        self._text: Paragraph | None = None
        self._line: list[str] = []
        self._n_held = 0
        self._head = ""
        self._table: _Table | None = None

    def begin_line(self) -> None:
        """Begin another row, or line of text."""
        if self._text:
            self._text.begin_line()

    def add(self, text: str) -> None:
        """Hold the line back."""
        if self._text:
            self._text.add(text)
            return
        self._line.append(text)
        self._n_held += len(text)
        if self._n_held > MAX_ROW:
            self._become_text()

    def end_line(self) -> bool:
        """Take the row."""
        if self._text:
            return False
        line = "".join(self._line)
        if self._table:
            self._table.rows.append(split_row(line))
            if len(self._table.rows) >= MAX_ROWS:
                self._table.show(self._page)
        elif not self._head:
            self._head = line
        elif is_delimiter_row(line, len(split_row(self._head))):
            self._table = _Table(split_row(self._head), split_row(line))
        else:
            self._become_text()
            return False
        self._line, self._n_held = [], 0
        return False

    def end(self) -> None:
        """Show the table, or the rest of the text."""
        if self._table:
            self._table.show(self._page)
        elif not self._text:
            self._become_text()
        if self._text:
            self._text.end()

    def _become_text(self) -> None:
        """Show the lines so far as text."""
        lines = [self._head] if self._head and not self._table else []
        lines += ["".join(self._line)] if self._line else []
        if self._table:
            self._table.show(self._page)
            self._table = None
        self._text = Paragraph(self._page, self._start, self._containers)
        for n, line in enumerate(lines):
            if n:
                self._text.begin_line()
            self._text.add(line)
        self._line = []


def split_row(line: str) -> list[str]:
    """Cells of a row, without the bars around them."""
    line = line.strip()
    inner = line[line.startswith("|") : len(line) - (line.endswith("|") and not line.endswith("\\|") and len(line) > 1)]
    return [cell.strip().replace("\\|", "|").replace("\t", " ") for cell in _BARS.split(inner)]


def is_delimiter_row(line: str, n_cells: int) -> bool:
    """Whether `line` delimits a head of `n_cells` cells: dashes, and colons for the alignment."""
    found = split_row(line)
    return len(found) == n_cells <= MAX_COLUMNS and all(map(_DELIMITER.fullmatch, found))


@dataclass
class _Table:
    """Table: texts of its cells, and its delimiter row."""

    head: list[str]
    delimiters: list[str]
    rows: list[list[str]] = field(default_factory=list)
    is_shown: bool = False

    def show(self, page: Page) -> None:
        """Show the rows so far with the head, and forget the rows."""
        if self.is_shown and not self.rows:
            return
        self.is_shown = True
        head = [_parsed(cell, page, Attributes.STRONG) for cell in self.head]
        rows = [[_parsed(cell, page, Attributes.PLAIN) for cell in row] for row in self.rows]
        self.rows = []
        widths = _column_widths([head, *rows])
        if widths and sum(widths) + len(_GAP) * (len(widths) - 1) <= page.room:
            self._show_columns(page, [head, *rows], widths)
        else:
            _show_cells(page, head, rows)

    def _show_columns(self, page: Page, rows: list[list[Cell]], widths: list[int]) -> None:
        for n, row in enumerate(rows):
            shown = [
                _aligned(_painted(cell or [], page), width - _width(cell or []), delimiter or "")
                for cell, width, delimiter in zip_longest(row, widths, self.delimiters[: len(widths)])
            ]
            page.line(_GAP.join(shown).rstrip(" "))
            if n == 0:
                rule = _GAP.join("-" * max(1, width) for width in widths)
                page.line(page.style.paint(rule, Look(Attributes.QUIET)))


def _show_cells(page: Page, head: list[Cell], rows: list[list[Cell]]) -> None:
    """Show each cell on a line of its own, after the head of its column; and an empty line between rows."""
    page.hang(_HANG)
    if not rows:
        rows, head = [head], []
    for n, row in enumerate(rows):
        if n:
            page.hang(_HANG)
            page.end_line()
        for name, cell in zip_longest(head, row):
            if cell:
                page.hang(_HANG)
                page.write([*(name or []), *([(": ", Look())] if name else []), *cell])
                page.end_line()


def _parsed(text: str, page: Page, base: int) -> Cell:
    parser = InlineParser(base, hyperlinks=page.style.hyperlinks)
    return [*parser.feed(text), *parser.close()]


def _painted(cell: Cell, page: Page) -> str:
    return "".join(page.style.paint(text, look) for text, look in cell)


def _width(cell: Cell) -> int:
    return cells("".join(text for text, _ in cell))


def _column_widths(rows: list[list[Cell]]) -> list[int]:
    """Width of each column; none where terminals disagree about the width of a cell."""
    if any(is_disputed("".join(text for text, _ in cell)) for row in rows for cell in row):
        return []
    return [max(map(_width, column)) for column in zip_longest(*rows, fillvalue=[])]


def _aligned(painted: str, n_spaces: int, delimiter: str) -> str:
    right, both = delimiter.endswith(":"), delimiter.startswith(":") and delimiter.endswith(":")
    before = n_spaces // 2 if both else n_spaces if right else 0
    return " " * before + painted + " " * (n_spaces - before)
