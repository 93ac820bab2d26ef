"""Text of an HTML page: paragraphs, lists, and tables as rows. Scripts, styles and attributes are left out."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from .blocks import Blocks
from .document import Extracted

_SKIPPED = {"script", "style", "template", "noscript", "svg", "math", "iframe", "object", "select"}
_BLOCK_TAGS = """
    p div section article header footer nav aside main h1 h2 h3 h4 h5 h6 ul ol dl dt dd blockquote table thead tbody
    tfoot caption figure figcaption form fieldset address hr title body pre li tr
"""
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_GROUPS = {"li": "item", "dt": "item", "dd": "item", "tr": "row"}
_CELLS = {"td", "th"}


def html_text(page: str) -> Extracted:
    """Text of an HTML page, however damaged. Raises UnreadableDocument for too much of it."""
    parser = _Page()
    parser.feed(page)
    parser.close()
    return Extracted(parser.blocks.text())


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks = Blocks()
        self._skipped = ""  # tag whose content is left out
        self._depth = 0  # of that tag in itself
        self._pre = 0
        self._label = ""
        self._has_cell = False
        self._group = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._skipped:
            self._depth += tag == self._skipped
        elif tag in _SKIPPED:
            self._skipped, self._depth = tag, 1
        elif tag in _BLOCKS:
            self._end_block()
            self._pre += tag == "pre"
            self._group = _GROUPS.get(tag, "")
            self._label = "- " if tag == "li" else ""
            self._has_cell = False
        elif tag in _CELLS:
            if self._has_cell:
                self.blocks.write(" | ")
            self._has_cell = True
        elif tag == "br":
            self.blocks.write("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _SKIPPED:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._skipped:
            self._depth -= tag == self._skipped
            self._skipped = self._skipped if self._depth else ""
        elif tag in _BLOCKS:
            self._pre = max(0, self._pre - (tag == "pre"))
            self._end_block()

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.blocks.write(data if self._pre else re.sub(r"[ \t\n\r\f]+", " ", data))

    def _end_block(self) -> None:
        self.blocks.end_block(self._label, self._group)
        self._label = ""
        self._group = ""
