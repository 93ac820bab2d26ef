"""Text of an ODT: paragraphs, headings, lists, and tables as rows. ref: OASIS OpenDocument 1.3, part 3

Headers, footers, notes, comments and deleted text are left out.
"""

from __future__ import annotations

from .archive import Archive, Attributes
from .blocks import Blocks
from .document import Extracted, UnreadableDocument

_CONTENT = "content.xml"
_MANIFEST = "META-INF/manifest.xml"
_MANIFEST_BYTES = 1 << 16
_SKIPPED = {"tracked-changes", "annotation", "note", "scripts", "font-face-decls", "automatic-styles", "forms"}
_MAX_SPACES = 100
_MAX_COLUMNS = 1_000


def odt_text(archive: Archive) -> Extracted:
    """Text of an ODT. Raises UnreadableDocument."""
    if b"encryption-data" in archive.read(_MANIFEST, _MANIFEST_BYTES):
        raise UnreadableDocument("is encrypted", "save it without a password")
    content = _Content()
    archive.parse(_CONTENT, content.start, content.end, content.characters)
    return Extracted(content.blocks.text())


class _Content:
    """Handler of the tags of `content.xml`."""

    def __init__(self) -> None:
        self.blocks = Blocks()
        self._skipped = 0
        self._paragraphs = 0
        self._lists = 0
        self._label = ""
        self._columns: list[int] = []

    def start(self, name: str, attributes: Attributes) -> None:
        if self._skipped or name in _SKIPPED:
            self._skipped += 1
        elif name in ("p", "h"):
            self.blocks.end_block()
            self._paragraphs += 1
        elif name == "list":
            self._lists += 1
        elif name == "list-item":
            self._label = f"{'  ' * min(self._lists - 1, 9)}- "
        elif name == "table-row":
            self.blocks.start_row()
        elif name in ("table-cell", "covered-table-cell"):
            self._columns.append(_number(attributes.get("number-columns-repeated", "1"), _MAX_COLUMNS))
            self.blocks.start_cell()
        elif self._paragraphs:
            self._write_space(name, attributes)

    def _write_space(self, name: str, attributes: Attributes) -> None:
        if name == "s":
            self.blocks.write(" " * _number(attributes.get("c", "1"), _MAX_SPACES))
        elif name == "tab":
            self.blocks.write("\t")
        elif name == "line-break":
            self.blocks.write("\n")

    def end(self, name: str) -> None:
        if self._skipped:
            self._skipped -= 1
        elif name in ("p", "h"):
            self._paragraphs -= 1
            self.blocks.end_block(self._label, group="item" if self._lists else "")
            self._label = ""
        elif name == "list":
            self._lists -= 1
        elif name in ("table-cell", "covered-table-cell"):
            self.blocks.end_cell(self._columns.pop())
        elif name == "table-row":
            self.blocks.end_row()

    def characters(self, text: str) -> None:
        if self._paragraphs and not self._skipped:
            self.blocks.write(text.replace("\n", " "))


def _number(written: str, most: int) -> int:
    """Number in an attribute, 1 to `most`; 1 for what is none."""
    return max(1, min(int(written), most)) if written.isdecimal() and len(written) < 9 else 1
