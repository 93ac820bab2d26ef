"""`ReplyArea`: the terminal while a reply streams: the reply scrolls above an input line and a status line.

The two lowest rows lie below the scrolling region (DECSTBM), the terminal itself keeps the reply's cursor (DECSC and
DECRC), and the two rows are addressed from the bottom. No width of a text is needed: terminals disagree about those of
Khmer, Burmese and Tamil. What scrolls out of a region that begins at the first row goes to the scrollback.
ref: https://vt100.net/docs/vt510-rm/DECSTBM.html
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from typing import TextIO

from ..text.unicode import clusters, visible
from ..text.width import cells, fitting
from .printing import PROMPT
from .size import terminal_size
from .typed_ahead import TypedAhead

MIN_ROWS, MIN_COLUMNS = 6, 20
_N_ROWS = 2  # below the region
_SAVE, _RESTORE, _ERASE_LINE, _ERASE_BELOW = "\x1b7", "\x1b8", "\x1b[K", "\x1b[J"
_WRAP_ON, _WRAP_OFF, _ALL_ROWS = "\x1b[?7h", "\x1b[?7l", "\x1b[r"
_PASTE_ON, _PASTE_OFF = "\x1b[?2004h", "\x1b[?2004l"
# After a program that was killed, with the cursor in any row: it stays, and what is below goes.
RESET = f"{_SAVE}{_ALL_ROWS}{_RESTORE}\x1b[0m{_ERASE_BELOW}{_WRAP_ON}{_PASTE_OFF}\x1b[?25h"


def fits_on_terminal() -> bool:
    """Whether stdin and stdout are a terminal with room for the area. On Windows there is none: keys cannot be read
    while a reply streams.
    """
    columns, rows = terminal_size()
    is_terminal = sys.platform != "win32" and sys.stdin.isatty() and sys.stdout.isatty()
    return is_terminal and rows >= MIN_ROWS and columns >= MIN_COLUMNS


class ReplyArea:
    """Area of one reply, as a context manager; the cursor must stand at the start of a row. Any thread may draw.

    After a change of the terminal's size the reply continues on a new row, and `on_resize` gets the number of columns.
    """

    def __init__(self, typed: TypedAhead, on_resize: Callable[[int], None], output: TextIO | None = None) -> None:
        self._typed = typed
        self._on_resize = on_resize
        self._output = output or sys.stdout
        self._lock = threading.Lock()
        self._size = terminal_size()
        self._status = ""
        self._is_open = self._has_text = False

    def __enter__(self) -> ReplyArea:
        with self._lock:
            self._is_open = True
            self._print(_PASTE_ON + self._opening() + self._lower_rows())
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_open = False
            self._print(f"{self._resized()}{_RESTORE}{_SAVE}{_ALL_ROWS}{_RESTORE}{_ERASE_BELOW}{_PASTE_OFF}")

    def write(self, text: str) -> None:
        """Continue the reply."""
        with self._lock:
            if text and self._is_open:
                self._has_text = True
                self._print(f"{self._resized()}{_RESTORE}{text}{_SAVE}{self._cursor()}")

    def note(self, text: str) -> None:
        """Print lines in the reply, between its own."""
        has_text = self._has_text
        self.write(("\r\n" if has_text else "") + text + "\r\n")
        self._has_text = False  # the next one begins a row anyway

    def show_status(self, status: str) -> None:
        """Show the status line."""
        with self._lock:
            if self._is_open and (status != self._status or self._size != terminal_size()):
                self._status = status
                self._print(self._resized() + self._status_row() + self._cursor())

    def show_input(self) -> None:
        """Show the input line as it is now."""
        with self._lock:
            if self._is_open:
                self._print(self._resized() + self._input_row() + self._cursor())

    def _opening(self) -> str:
        """Set the region, and keep the cursor in it."""
        free = "\n" * _N_ROWS + f"\x1b[{_N_ROWS}A"
        return f"{free}{_SAVE}\x1b[1;{self._size.lines - _N_ROWS}r{_RESTORE}{_SAVE}"

    def _resized(self) -> str:
        """After a change of the terminal's size: the area anew, with the reply on a new row.

        The cursor stands in the input row, wherever the terminal has moved that; the saved one may be wrong now.
        """
        size = terminal_size()
        if size == self._size:
            return ""
        self._size = size
        self._on_resize(size.columns)
        return f"\r{_ERASE_BELOW}{_SAVE}{_ALL_ROWS}{_RESTORE}{self._opening()}{self._lower_rows()}"

    def _lower_rows(self) -> str:
        return self._input_row() + self._status_row() + self._cursor()

    def _status_row(self) -> str:
        shown = "".join(fitting(clusters(self._status), self._size.columns - 1))
        return f"{self._at(self._size.lines)}{_WRAP_OFF}{_ERASE_LINE}\x1b[2m{shown}\x1b[0m{_WRAP_ON}"

    def _input_row(self) -> str:
        before, after = self._parts()
        return f"{self._at(self._size.lines - 1)}{_WRAP_OFF}{_ERASE_LINE}{PROMPT}{before}{after}{_WRAP_ON}"

    def _cursor(self) -> str:
        """Move the cursor to its place in the input row: the text before it says where that is."""
        return f"{self._at(self._size.lines - 1)}{_WRAP_OFF}{PROMPT}{self._parts()[0]}{_WRAP_ON}"

    def _parts(self) -> tuple[str, str]:
        """(input before the cursor that has room, input behind it)."""
        text, position = self._typed.text, self._typed.position
        columns = self._size.columns
        nearest = reversed(list(clusters(in_one_row(text[max(0, position - 4 * columns) : position]))))
        before = "".join(reversed(fitting(nearest, columns * 2 // 3)))
        behind = clusters(in_one_row(text[position : position + columns]))
        return before, "".join(fitting(behind, columns - len(PROMPT) - cells(before) - 1))

    def _at(self, row: int) -> str:
        return f"\x1b[{row};1H"

    def _print(self, text: str) -> None:
        self._output.write(text)
        self._output.flush()


def in_one_row(text: str) -> str:
    """Text on one row: line feeds and control characters as pictures."""
    return visible(text).replace("\n", "⏎").replace("\t", " ")


class Notes(io.TextIOBase):
    """Standard error while an area is open: whole lines become notes in the reply."""

    def __init__(self, area: ReplyArea) -> None:
        self._area = area
        self._line = ""

    def write(self, text: str) -> int:
        """Take text, and show the lines that are whole."""
        *lines, self._line = (self._line + text).split("\n")
        if lines:
            self._area.note("\r\n".join(lines))
        return len(text)
