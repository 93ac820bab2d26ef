"""Blocks without blocks inside, as they come line by line: paragraphs, headings, rules, empty items, fenced code."""

from __future__ import annotations

from .highlighting import Highlighter
from .inline import LINE_BREAK, InlineParser
from .line_starts import Container, Kind, Start
from .page import Page
from .style import Attributes, Look

_MARKS = "# \t"  # may close a heading


class Leaf:
    """Block that takes the text of its lines and writes them on a page. This one is an empty list item."""

    continued_by: Kind | None = None  # kind of line that belongs to the same block
    takes_raw_lines = False  # its lines come whole, with the marks of their containers

    def __init__(self, page: Page, start: Start, containers: list[Container]) -> None:
        self._page = page

    def begin_line(self) -> None:
        """Begin another line of the block."""

    def add(self, text: str) -> None:
        """Add text to the line."""

    def end_line(self) -> bool:
        """End the line; whether the block ends with it."""
        return True

    def end(self) -> None:
        """End the block."""
        self._page.end_line()

    def is_left_by(self, line: str) -> bool:
        """Whether a raw line is outside of the containers around the block."""
        return False


class Rule(Leaf):
    """Thematic break, short enough for terminals where its characters take two cells."""

    def end(self) -> None:
        """Show the rule."""
        self._page.write([("─" * min(20, self._page.room // 2), Look(Attributes.QUIET))])
        self._page.end_line()


class Paragraph(Leaf):
    """Paragraph: text shows word by word, as soon as its look is certain."""

    continued_by = Kind.PARAGRAPH

    def __init__(self, page: Page, start: Start, containers: list[Container]) -> None:
        super().__init__(page, start, containers)
        self._parser = InlineParser(hyperlinks=page.style.hyperlinks)

    def begin_line(self) -> None:
        """Keep the line feed before the line."""
        self.add(LINE_BREAK)

    def add(self, text: str) -> None:
        """Show what is certain with `text`."""
        self._page.write(self._parser.feed(text))

    def end_line(self) -> bool:
        """Wait for the next line: it may belong to the paragraph."""
        return False

    def end(self) -> None:
        """Show the rest."""
        self._page.write(self._parser.close())
        self._page.end_line()


class Heading(Leaf):
    """Heading, without the number signs that may close it."""

    def __init__(self, page: Page, start: Start, containers: list[Container]) -> None:
        super().__init__(page, start, containers)
        self._parser = InlineParser(Attributes.HEADING, hyperlinks=page.style.hyperlinks)
        self._marks: list[str] = []
        self._has_text = False

    def add(self, text: str) -> None:
        """Show what is certain with `text`; number signs at the end of the line are not."""
        kept = text.rstrip(_MARKS)
        if kept:
            self._page.write(self._parser.feed("".join(self._marks) + kept))
            self._marks.clear()
            self._has_text = True
        self._marks.append(text[len(kept) :])

    def end(self) -> None:
        """Show the rest, without closing marks."""
        marks = "".join(self._marks).rstrip()
        before = marks.rstrip("#")
        closes = before[-1:].isspace() if before else not self._has_text
        self._page.write([*self._parser.feed(before if closes else marks), *self._parser.close()])
        self._page.end_line()


class Fence(Leaf):
    """Fenced code: its lines are shown one by one as they are, with their fences."""

    takes_raw_lines = True

    def __init__(self, page: Page, start: Start, containers: list[Container]) -> None:
        super().__init__(page, start, containers)
        self._column = start.column
        self._n_quotes = sum(container.is_quote for container in containers)
        self._line = ""
        self._mark = ""
        self._highlighter: Highlighter | None = None

    def add(self, text: str) -> None:
        """Keep the line, which comes whole."""
        self._line = text

    def end_line(self) -> bool:
        """Show the line; whether it is the closing fence."""
        line = self._line
        if self._highlighter is None:
            self._show_opening(line.rstrip())
            return False
        code = self._without_indent(line)
        stripped = code.strip()
        if len(stripped) >= len(self._mark) and not stripped.strip(self._mark[0]):
            self._show_fence(stripped)
            return True
        self._page.line(self._highlighter.line(code))
        return False

    def end(self) -> None:
        """Leave the code as it is: unclosed at the end of the text."""

    def is_left_by(self, line: str) -> bool:
        """Whether `line` is outside of the quotes around the code."""
        text = line.lstrip(" >")
        return line[: len(line) - len(text)].count(">") < self._n_quotes

    def _show_opening(self, line: str) -> None:
        info = line.lstrip(line[0])
        self._mark = line[: len(line) - len(info)]
        self._highlighter = Highlighter(info.strip(), self._page.style)
        self._show_fence(line)

    def _show_fence(self, line: str) -> None:
        self._page.line(self._page.style.paint(line, Look(Attributes.QUIET)))

    def _without_indent(self, line: str) -> str:
        """Code of a line: without the marks of quotes, and without the fence's indent."""
        column = index = n_quotes = 0
        while index < len(line) and (column < self._column or n_quotes < self._n_quotes):
            if line[index] == ">" and n_quotes < self._n_quotes:
                n_quotes += 1
            elif line[index] != " ":
                break
            index += 1
            column += 1
        return line[index:]
