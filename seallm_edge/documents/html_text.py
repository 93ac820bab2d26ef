"""Text of an HTML page: paragraphs, lists, and tables as rows. Scripts, styles and attributes are left out.

Its scanner takes linear time on any input. The standard library's parser takes quadratic time on unclosed tags (minutes
for 60 kB of them), and fails on some declarations.
"""

from __future__ import annotations

import html
import re

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

_TAG_NAME = re.compile(r"</?([A-Za-z][^\s/>]*)")
_ATTRIBUTES = re.compile(r"""(?:[^>=]++|=\s*+(?:"[^"]*"|'[^']*')|=)*+>""")
_SPACES = re.compile(r"[ \t\n\r\f]+")


def html_text(page: str) -> Extracted:
    """Text of an HTML page, however damaged. Raises UnreadableDocument for too much of it."""
    scanner = _Scanner(page)
    scanner.scan()
    return Extracted(scanner.text.blocks.text())


class _Scanner:
    """Scanner of tags and text. What is missing once (an end of comments) is not searched for again."""

    def __init__(self, page: str) -> None:
        self.text = _Text()
        self._page = page
        self._last_end = page.rfind(">")
        self._absent: set[str] = set()
        self._has_quotes = True

    def scan(self) -> None:
        page, position = self._page, 0
        while 0 <= (at := page.find("<", position)) <= self._last_end:
            self.text.write(page[position:at])
            position = self._markup(at)
        self.text.write(page[position:])

    def _markup(self, at: int) -> int:
        """Position after the tag, comment or declaration at `at`; a "<" that begins none is text."""
        if self._page.startswith("<!--", at):
            return self._after("-->", at + 4) or self._after_tag(at)
        if self._page.startswith(("<!", "<?"), at):
            return self._after_tag(at)
        if not (name := _TAG_NAME.match(self._page, at)):
            self.text.write("<")
            return at + 1
        return self._tag(name[1].lower(), name.end(), is_end=self._page[at + 1] == "/")

    def _tag(self, name: str, position: int, is_end: bool) -> int:
        found = _ATTRIBUTES.match(self._page, position) if self._has_quotes else None
        self._has_quotes = self._has_quotes and found is not None
        position = found.end() if found else self._after_tag(position)
        if name in _SKIPPED and not is_end:
            return self._end_of(name, position)
        if is_end:
            self.text.end(name)
        else:
            self.text.start(name)
        return position

    def _end_of(self, name: str, position: int) -> int:
        """Position of the end tag of an element whose content is left out; `position` where it has none."""
        if name in self._absent:
            return position
        if found := re.compile(f"</{name}\\b", re.IGNORECASE).search(self._page, position):
            return found.start()
        self._absent.add(name)
        return position

    def _after(self, mark: str, position: int) -> int:
        """Position after the next `mark`; 0 where there is none."""
        if mark in self._absent:
            return 0
        found = self._page.find(mark, position)
        if found < 0:
            self._absent.add(mark)
            return 0
        return found + len(mark)

    def _after_tag(self, position: int) -> int:
        return self._after(">", position) or len(self._page)


class _Text:
    """Text of the tags so far."""

    def __init__(self) -> None:
        self.blocks = Blocks()
        self._n_pre = 0
        self._label = ""
        self._group = ""
        self._has_cell = False

    def start(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._end_block()
            self._n_pre += tag == "pre"
            self._group = _GROUPS.get(tag, "")
            self._label = "- " if tag == "li" else ""
            self._has_cell = False
        elif tag in _CELLS:
            if self._has_cell:
                self.blocks.write(" | ")
            self._has_cell = True
        elif tag == "br":
            self.blocks.write("\n")

    def end(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._n_pre = max(0, self._n_pre - (tag == "pre"))
            self._end_block()

    def write(self, text: str) -> None:
        text = html.unescape(text)
        self.blocks.write(text if self._n_pre else _SPACES.sub(" ", text))

    def _end_block(self) -> None:
        self.blocks.end_block(self._label, self._group)
        self._label = self._group = ""
