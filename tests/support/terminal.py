"""A terminal (pyte) that a command runs on (pexpect): type at it, and look at its screen as a person would."""

from __future__ import annotations

import os
import signal
import time
import unicodedata
from collections.abc import Callable

import pexpect
import pyte
import wcwidth

_POLL_SECONDS = 0.02


class Screen(pyte.HistoryScreen):
    """Screen that counts cells as tmux: spacing vowel signs of Khmer, Burmese and Tamil take one, other signs none.

    pyte's own drops signs whose combining class is 0, and what follows them.
    """

    def draw(self, data: str) -> None:
        """Write text at the cursor."""
        for char in data:
            if unicodedata.category(char) == "Mc":
                super().draw("x")
                self._put(char, self.cursor.x - 1)
            elif wcwidth.wcwidth(char) == 0:
                x = max(self.cursor.x - 1, 0)
                self._put(self.buffer[self.cursor.y][x].data + char, x)
            else:
                super().draw(char)

    def _put(self, data: str, x: int) -> None:
        row = self.buffer[self.cursor.y]
        row[x] = row[x]._replace(data=data)


def screen_of(rows: int, columns: int) -> tuple[Screen, Callable[[str], None]]:
    """(screen, function that feeds it text)."""
    screen = Screen(columns, rows, history=10_000, ratio=1)
    return screen, pyte.Stream(screen).feed


class Terminal:
    """Terminal with a command. `lines()` are the rows of its screen; `wait_for` reads until they are as expected."""

    def __init__(
        self, command: list[str], rows: int = 24, columns: int = 80, env: dict[str, str] | None = None
    ) -> None:
        self._screen = Screen(columns, rows, history=10_000, ratio=1)
        self._stream = pyte.ByteStream(self._screen)
        environment = {**os.environ, "TERM": "xterm-256color", **(env or {})}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environment.pop(name, None)
        self.child = pexpect.spawn(command[0], command[1:], dimensions=(rows, columns), env=environment, timeout=None)
        self.child.delaybeforesend = None
        self._screen.write_process_input = lambda answer: self.child.send(answer.encode())  # where the cursor is
        self.seconds = 60.0
        self.output = b""  # all of it, escape sequences included

    def type(self, keys: str) -> None:
        """Send keys."""
        self.child.send(keys.encode())

    def lines(self) -> list[str]:
        """Rows of the screen, without spaces at their ends and without empty rows at the bottom."""
        rows = [row.rstrip() for row in self._screen.display]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def scrollback(self) -> list[str]:
        """Rows that have left the screen at its top."""
        columns = range(self._screen.columns)
        return ["".join(row[x].data for x in columns).rstrip() for row in self._screen.history.top]

    def text(self) -> str:
        """All rows, those of the scrollback first."""
        return "\n".join([*self.scrollback(), *self.lines()])

    def cursor(self) -> tuple[int, int]:
        """(row, column) of the cursor, from 0."""
        return self._screen.cursor.y, self._screen.cursor.x

    def cells(self) -> list[list[pyte.screens.Char]]:
        """Cells of the screen, row by row."""
        columns = range(self._screen.columns)
        return [[self._screen.buffer[y][x] for x in columns] for y in range(self._screen.lines)]

    def margins(self) -> tuple[int, int] | None:
        """(first, last) row of the scrolling region; None where it is the whole screen."""
        margins = self._screen.margins
        return None if margins is None else (margins.top, margins.bottom)

    def read(self, seconds: float) -> bool:
        """Take what the command prints within a time: whether it still runs."""
        try:
            data = self.child.read_nonblocking(1 << 16, timeout=seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.output += data
        self._stream.feed(data)
        return True

    def wait_for(self, expected: str | Callable[[list[str]], bool]) -> None:
        """Read until a row holds a text, or the rows are as a function wants them."""
        is_there = expected if callable(expected) else lambda rows: any(expected in row for row in rows)
        end = time.monotonic() + self.seconds
        while not is_there(self.lines()):
            is_running = self.read(_POLL_SECONDS)
            assert is_running or is_there(self.lines()), f"ended without {expected!r}:\n{self.text()}"
            assert time.monotonic() < end, f"no {expected!r} in:\n{self.text()}"

    def wait_until_quiet(self, seconds: float = 0.4) -> None:
        """Read until nothing has come for a time."""
        before: object = None
        while before != (before := (self.text(), self.cursor())):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                self.read(_POLL_SECONDS)

    def resize(self, rows: int, columns: int) -> None:
        """Change the size; the rows are kept as a terminal without reflow keeps them."""
        self._screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def end(self) -> int | None:
        """Exit code, once the command has ended by itself; minus the signal that ended it."""
        end = time.monotonic() + self.seconds
        while self.read(_POLL_SECONDS):
            assert time.monotonic() < end, f"still runs:\n{self.text()}"
        self.child.close()
        return self.child.exitstatus if self.child.signalstatus is None else -self.child.signalstatus

    def kill(self) -> None:
        """End the command at once, as a power cut does."""
        self.child.kill(signal.SIGKILL)
        while self.read(_POLL_SECONDS):
            pass
        self.child.close()
