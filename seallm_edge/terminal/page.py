"""Page of blocks at a terminal: lines in order, with the marks of the quotes and list items around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..text.width import cells
from ..text.wrapping import Wrapper
from .inline import LINE_BREAK, Part
from .line_starts import Container
from .style import Attributes, Look, Style

_BAR = ("│ ", Look(Attributes.QUIET))


class Page:
    """Page of a width in cells: output of blocks collects in it until `take`."""

    def __init__(self, width: int, style: Style) -> None:
        self.width = width
        self.style = style
        self._wrapper = Wrapper(width, style.paint)
        self._output: list[str] = []
        self._is_empty = True
        self._first: Sequence[Part] = ()
        self._others: Sequence[Part] = ()

    def resize(self, width: int) -> None:
        """Take another width from here on; the line under way continues at the start of a row."""
        self.width = width
        self._wrapper.resize(width)

    @property
    def room(self) -> int:
        """Cells beside the indent of the block."""
        return self.width - 1 - sum(cells(text) for text, _ in self._others)

    def begin(self, containers: Sequence[Container], *, after_blank: bool) -> None:
        """Begin a block, after an empty line if `after_blank`. List items show their marker in its first line."""
        if after_blank and not self._is_empty:
            n_bars = sum(container.is_quote and container.is_shown for container in containers)
            self._wrapper.indent([("│ " * (n_bars - 1) + "│", _BAR[1])] if n_bars else [], [])
            self.end_line()
        first = [_mark(container) for container in containers]
        others = [
            _BAR if container.is_quote else (" " * cells(text), Look())
            for container, (text, _) in zip(containers, first, strict=True)
        ]
        while sum(cells(text) for text, _ in others) > self.width // 2:  # deep nesting leaves half the page for text
            del first[0], others[0]
        for container in containers:
            container.is_shown = True
        self._first, self._others = first, others
        self._wrapper.indent(first, others)
        self._is_empty = False

    def hang(self, indent: str) -> None:
        """Indent what the next line continues in by more than the block."""
        self._wrapper.indent(self._first, [*self._others, (indent, Look())])
        self._first = self._others

    def write(self, parts: Iterable[Part]) -> None:
        """Write text, wrapped."""
        for text, look in parts:
            self._output.append(self._wrapper.end_line() if text == LINE_BREAK else self._wrapper.add(text, look))

    def end_line(self) -> None:
        """End the line; a line without text is empty."""
        self._output.append(self._wrapper.end_line())

    def line(self, painted: str) -> None:
        """Write a line that is not wrapped."""
        self._output.append(self._wrapper.whole_line(painted))

    def take(self) -> str:
        """Output since the last call."""
        output = "".join(self._output)
        self._output.clear()
        return output


def _mark(container: Container) -> Part:
    if container.is_quote:
        return _BAR
    marker = container.marker + " "
    return (" " * cells(marker) if container.is_shown else marker, Look())
