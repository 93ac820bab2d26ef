"""Text of a DOCX: paragraphs, lists, and tables as rows. ref: ECMA-376, WordprocessingML

Headers, footers, notes and comments are left out, and so is text that tracked changes deleted.
"""

from __future__ import annotations

from collections import defaultdict

from .archive import Archive, Attributes
from .blocks import Blocks
from .document import Extracted

_DOCUMENT = "word/document.xml"
_NUMBERING = "word/numbering.xml"
_STYLES = "word/styles.xml"
_TEXT = {"t": None, "tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}  # element: its text; None: its content
_SKIPPED = {"Fallback", "del", "moveFrom", "instrText", "pPrChange", "tblPrChange"}  # Fallback repeats a text box
_MAX_LEVEL = 9


def docx_text(archive: Archive) -> Extracted:
    """Text of a DOCX. Raises UnreadableDocument."""
    formats = _Numbering(archive).formats if _NUMBERING in archive.names else {}
    styles = _Styles(archive).lists if _STYLES in archive.names else {}
    body = _Body(formats, styles)
    archive.parse(_DOCUMENT, body.start, body.end, body.characters)
    return Extracted(body.blocks.text())


class _Body:
    """Handler of the tags of `document.xml`."""

    def __init__(self, formats: dict[tuple[str, str], str], styles: dict[str, dict[str, str]]) -> None:
        self.blocks = Blocks()
        self._formats = formats
        self._styles = styles
        self._counters: dict[str, dict[int, int]] = defaultdict(dict)
        self._list: dict[str, str] = {}  # list and level of the current paragraph
        self._skipped = 0
        self._is_text = False
        self._in_properties = 0

    def start(self, name: str, attributes: Attributes) -> None:
        if self._skipped or name in _SKIPPED:
            self._skipped += 1
        elif name == "pPr" or name == "rPr":
            self._in_properties += 1
        elif self._in_properties:
            self._property(name, attributes.get("val", ""))
        elif name == "p":
            self.blocks.end_block()
            self._list = {}
        elif name == "tr":
            self.blocks.start_row()
        elif name == "tc":
            self.blocks.start_cell()
        elif name in _TEXT:
            self._is_text = _TEXT[name] is None
            self.blocks.write(_TEXT[name] or "")

    def _property(self, name: str, value: str) -> None:
        if name == "pStyle":
            self._list = {**self._styles.get(value, {}), **self._list}
        elif name in ("ilvl", "numId"):
            self._list[name] = value

    def end(self, name: str) -> None:
        if self._skipped:
            self._skipped -= 1
        elif name == "pPr" or name == "rPr":
            self._in_properties -= 1
        elif name == "p":
            label = self._label()
            self.blocks.end_block(label, group="item" if label else "")
            self._list = {}
        elif name == "tc":
            self.blocks.end_cell()
        elif name == "tr":
            self.blocks.end_row()
        elif name == "t":
            self._is_text = False

    def characters(self, text: str) -> None:
        if self._is_text and not self._skipped:
            self.blocks.write(text)

    def _label(self) -> str:
        """Bullet or number of the current paragraph in its list, indented by its level; "" outside lists."""
        number = self._list.get("numId", "0")
        if number == "0":
            return ""
        level_name = self._list.get("ilvl", "0")
        level = min(int(level_name), _MAX_LEVEL) if level_name.isdecimal() else 0
        if self._formats.get((number, level_name), "bullet") == "bullet":
            return f"{'  ' * level}- "
        counters = self._counters[number]
        counters[level] = counters.get(level, 0) + 1
        for deeper in [other for other in counters if other > level]:
            del counters[deeper]
        return f"{'  ' * level}{counters[level]}. "


class _Numbering:
    """Formats of lists, (list, level): "bullet", "decimal" or another, from `numbering.xml`."""

    def __init__(self, archive: Archive) -> None:
        self.formats: dict[tuple[str, str], str] = {}
        self._abstract: dict[str, dict[str, str]] = {}
        self._of_abstract = self._level = self._number = ""
        archive.parse(_NUMBERING, self._start, lambda _: None, lambda _: None)

    def _start(self, name: str, attributes: Attributes) -> None:
        value = attributes.get("val", "")
        if name == "abstractNum":
            self._of_abstract = attributes.get("abstractNumId", "")
            self._abstract[self._of_abstract] = {}
        elif name == "lvl":
            self._level = attributes.get("ilvl", "")
        elif name == "numFmt" and self._of_abstract:
            self._abstract[self._of_abstract].setdefault(self._level, value)
        elif name == "num":
            self._number = attributes.get("numId", "")
        elif name == "abstractNumId":
            levels = self._abstract.get(value, {})
            self.formats |= {(self._number, level): written for level, written in levels.items()}


class _Styles:
    """Lists of paragraph styles such as "List Bullet", from `styles.xml`: style, its list and level."""

    def __init__(self, archive: Archive) -> None:
        self.lists: dict[str, dict[str, str]] = {}
        self._style = ""
        archive.parse(_STYLES, self._start, lambda _: None, lambda _: None)

    def _start(self, name: str, attributes: Attributes) -> None:
        if name == "style":
            self._style = attributes.get("styleId", "")
        elif name in ("ilvl", "numId"):
            self.lists.setdefault(self._style, {})[name] = attributes.get("val", "")
