"""Markdown of streamed replies for a terminal: append-only output, which never moves the cursor up and erases nothing.

Terminals disagree about the width of Khmer, Burmese, Tamil and emoji, so what is shown is never taken back. Text shows
as soon as nothing that follows can change how it looks. Held back are:

- a word, until a line-break opportunity follows it (see `seallm_edge/text/wrapping.py`), and the last grapheme cluster;
- the start of a line, until it says what block the line is: rarely more than three characters;
- what follows an open `**`, `*`, `_`, `~~`, `[` or backtick, until its closing mark comes; at the end of its block or
  after `MAX_HELD` characters the mark is text;
- a line of fenced code, until its end;
- a table, until its end; and the first line of one, until the next line says whether it is one.

Differences from CommonMark, for text that comes in order and from a language model: a line feed in a paragraph is kept;
a line under a paragraph does not make it a heading; an item is nested if it is two columns or more to the right of
another's marker; indented text is no code; HTML is text. Control characters are shown as pictures.
The output does not depend on how the text is cut into deltas. It begins at the start of a line, and ends without a line
feed. Code is the only text that may be wider than the terminal, which then breaks its lines.
"""

from __future__ import annotations

from ..text.unicode import visible
from .leaves import Fence, Heading, Leaf, Paragraph, Rule
from .line_starts import Container, Kind, Start, read_start
from .page import Page
from .style import Style
from .tables import TableLeaf

MIN_WIDTH = 10  # cells; narrower terminals break lines themselves

_LEAVES: dict[Kind, type[Leaf]] = {
    Kind.PARAGRAPH: Paragraph,
    Kind.HEADING: Heading,
    Kind.FENCE: Fence,
    Kind.ROW: TableLeaf,
    Kind.RULE: Rule,
    Kind.EMPTY_ITEM: Leaf,
}


class MarkdownStream:
    """Renderer of a Markdown reply that comes in deltas, for a terminal `width` cells wide."""

    def __init__(self, width: int, style: Style | None = None) -> None:
        self._page = Page(max(width, MIN_WIDTH), style or Style())
        self._containers: list[Container] = []
        self._leaf: Leaf | None = None  # block that the line belongs to, or that the next line may continue
        self._is_after_blank = False
        self._raw: list[str] = []  # parts of a line that the block takes whole
        self._start = ""  # of a line whose block is undecided
        self._is_in_leaf = False  # the rest of the line belongs to the block
        self._return = ""  # a carriage return, which is dropped before a line feed

    def resize(self, width: int) -> None:
        """Take another width from here on; the line under way continues at the start of a row."""
        self._page.resize(max(width, MIN_WIDTH))

    def feed(self, delta: str) -> str:
        """Output for the terminal that is certain with `delta`."""
        text = self._return + delta
        self._return = "\r" if text.endswith("\r") else ""
        self._split(text[: len(text) - len(self._return)].replace("\r\n", "\n"))
        return self._page.take()

    def close(self) -> str:
        """Rest of the output; afterwards the stream takes no more text."""
        self._split(self._return)
        if self._start or self._raw or self._is_in_leaf:
            self._end_line()
        self._end_leaf()
        return self._page.take()

    def _split(self, text: str) -> None:
        first, *others = visible(text).split("\n")
        self._add(first)
        for line in others:
            self._end_line()
            self._add(line)

    def _add(self, text: str) -> None:
        """Add text to the current line."""
        if self._leaf and self._is_in_leaf:
            self._leaf.add(text)
        elif self._leaf and self._leaf.takes_raw_lines:
            self._raw += [text] if text else []
        elif text:
            self._start += text
            self._decide(is_whole=False)

    def _end_line(self) -> None:
        if self._leaf and self._leaf.takes_raw_lines and not self._is_in_leaf:
            line = "".join(self._raw)
            self._raw.clear()
            if self._leaf.is_left_by(line):
                self._end_leaf()
                self._start = line
                self._decide(is_whole=True)
                return
            self._leaf.add(line)
            self._is_in_leaf = True
        if not self._leaf or not self._is_in_leaf:
            self._decide(is_whole=True)
        elif self._leaf.end_line():
            self._end_leaf()
        self._is_in_leaf = False

    def _decide(self, *, is_whole: bool) -> None:
        """Begin or continue the block that the start of the line says, if it says it already."""
        start = read_start(self._start, self._containers, is_whole=is_whole)
        if start is None:
            return
        text, self._start = self._start[start.end :], ""
        if start.kind is Kind.BLANK:
            self._end_leaf()
            self._leave_quotes(start)
            return
        self._enter(start)
        self._is_in_leaf = True
        self._add(text)
        if is_whole:
            self._end_line()

    def _enter(self, start: Start) -> None:
        is_inside = start.n_continued == len(self._containers) and not start.opened
        if self._leaf and is_inside and self._leaf.continued_by is start.kind:
            self._leaf.begin_line()
            return
        self._end_leaf()
        self._containers = [*self._containers[: start.n_continued], *start.opened]
        self._page.begin(self._containers, after_blank=self._is_after_blank)
        self._is_after_blank = False
        self._leaf = _LEAVES[start.kind](self._page, start, self._containers)

    def _leave_quotes(self, blank: Start) -> None:
        """Close the quotes that a blank line does not continue; list items go on after it."""
        left = (n for n, container in enumerate(self._containers) if n >= blank.n_continued and container.is_quote)
        self._containers = [*self._containers[: next(left, None)], *blank.opened]
        self._is_after_blank = True

    def _end_leaf(self) -> None:
        if self._leaf:
            self._leaf.end()
            self._leaf = None


class PlainStream:
    """Renderer that shows a reply as it is, control characters aside: for pipes, dumb terminals, screen readers."""

    def resize(self, width: int) -> None:
        """Take another width: text is not wrapped."""

    def feed(self, delta: str) -> str:
        """Output for `delta`."""
        return visible(delta)

    def close(self) -> str:
        """Rest of the output: none."""
        return ""
