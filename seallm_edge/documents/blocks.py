"""Blocks of text under construction: paragraphs, list items and table rows, from a format's start and end tags."""

from __future__ import annotations

from .document import MAX_TEXT, UnreadableDocument

_MAX_DEPTH = 200  # nested cells


class Blocks:
    """Builder of a text: a blank line between paragraphs, none between the items of a list or the rows of a table.

    Raises UnreadableDocument for more than `MAX_TEXT` characters.
    """

    def __init__(self) -> None:
        self._blocks: list[tuple[str, str]] = []
        self._current: list[str] = []
        self._rows: list[list[str]] = []
        self._cells: list[list[str]] = []
        self._n_characters = 0

    def write(self, text: str) -> None:
        """Append text to the current paragraph."""
        self._n_characters += len(text)
        if self._n_characters > MAX_TEXT:
            raise UnreadableDocument(f"has more than {MAX_TEXT:,} characters of text", "give a part of it")
        self._current.append(text)

    def end_block(self, label: str = "", group: str = "") -> None:
        """End the current paragraph, or list item with its `label`. An empty one is left out.

        Consecutive blocks of one `group`, such as "item", have no blank line between them.
        """
        text = "".join(self._current).strip()
        self._current.clear()
        if text and self._cells:
            self._cells[-1].append(label + text)
        elif text:
            self._blocks.append((label + text, group))

    def start_row(self) -> None:
        """Begin a table row, inside a cell too."""
        self.end_block()
        if len(self._rows) >= _MAX_DEPTH:
            raise UnreadableDocument(f"has tables nested more than {_MAX_DEPTH} deep", "save it as text")
        self._rows.append([])

    def start_cell(self) -> None:
        """Begin a cell of the current row."""
        self.end_block()
        self._cells.append([])

    def end_cell(self, n_columns: int = 1) -> None:
        """End a cell that spans `n_columns`: its paragraphs in one line."""
        self.end_block()
        text = " ".join(" ".join(self._cells.pop()).split())
        self._rows[-1] += [text] + [""] * (n_columns - 1)

    def end_row(self) -> None:
        """End a row: its cells with bars between them. A row without text is left out."""
        row = self._rows.pop()
        if any(row):
            self._current.append(" | ".join(row).rstrip(" |"))
            self.end_block(group="row")

    def text(self) -> str:
        """The blocks so far, joined."""
        self.end_block()
        joined: list[str] = []
        previous = ""
        for text, group in self._blocks:
            joined += ["" if not joined else "\n" if group and group == previous else "\n\n", text]
            previous = group
        return "".join(joined)
