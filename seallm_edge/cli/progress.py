"""Progress line of every command, on stderr where that is a terminal, redrawn in place."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import ClassVar, TypeVar

from ..files.sizes import readable
from .output import diagnostic

T = TypeVar("T")
_ERASE = "\r\x1b[K"
_POLL_SECONDS = 0.5
_READING = "reading the prompt"


class ProgressLine:
    """Progress line on stderr; leaving the context erases it. Draws nothing where stderr is no terminal."""

    _on_screen: ClassVar[ProgressLine | None] = None

    def __init__(self) -> None:
        self._terminal = sys.stderr if sys.stderr is not None and sys.stderr.isatty() else None
        self._shown = ""
        self._started = time.monotonic()
        self._first: tuple[int, float] | None = None  # bytes done and seconds at the first `show_bytes`

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.erase()

    @property
    def is_shown_to_someone(self) -> bool:
        """Whether there is a terminal to draw on."""
        return self._terminal is not None

    @property
    def seconds(self) -> float:
        """Seconds since the line was made."""
        return time.monotonic() - self._started

    def show(self, text: str) -> None:
        """Draw `text` in place of what is shown, cut at the width of the terminal."""
        if self._terminal and text != self._shown:
            self._shown = text
            ProgressLine._on_screen = self
            self._write(f"{_ERASE}{text[: shutil.get_terminal_size().columns - 1]}")

    def show_share(self, doing: str, share: float) -> None:
        """Draw the share done, 0 to 1, such as "loading  45%"."""
        self.show(f"{doing} {share:4.0%}")

    def show_bytes(self, doing: str, done: int, total: int) -> None:
        """Draw bytes done and in all, bytes per second, and the seconds left at this speed."""
        self._first = self._first or (done, self.seconds)  # a resumed conversion begins above 0
        n_bytes, seconds = done - self._first[0], self.seconds - self._first[1]
        share = done / total if total else 0.0
        speed = f", {readable(int(n_bytes / seconds))}/s" if n_bytes and seconds else ""
        left = f", {(total - done) * seconds / n_bytes:.0f} s left" if speed else ""
        self.show(f"{doing} {share:4.0%}, {readable(done)} of {readable(total)}{speed}{left}")

    @staticmethod
    def note(text: str) -> None:
        """Print a diagnostic, above the line that is shown, if one is."""
        if line := ProgressLine._on_screen:
            line.erase()
        diagnostic(text)

    def erase(self) -> None:
        """Erase the line until the next `show`."""
        if self._shown:
            self._shown = ""
            ProgressLine._on_screen = None
            self._write(_ERASE)

    def _write(self, text: str) -> None:
        try:
            print(text, end="", file=self._terminal, flush=True)
        except (OSError, ValueError):  # the terminal was closed
            self._terminal = None


def text_of(deltas: Iterator[T], prompt_share: Callable[[], float] | None = None) -> Iterator[T]:
    """Text deltas of a reply. Until the first one, a terminal shows that the prompt is prefilled; with `prompt_share`,
    which share of it.
    """
    with ProgressLine() as line:
        first = _first_delta(deltas, prompt_share, line) if line.is_shown_to_someone else next(deltas, None)
    if first is not None:
        yield first
        yield from deltas


def _first_delta(deltas: Iterator[T], prompt_share: Callable[[], float] | None, line: ProgressLine) -> T | None:
    is_over = threading.Event()

    def poll() -> None:
        while not is_over.wait(_POLL_SECONDS):
            if prompt_share:
                line.show_share(_READING, prompt_share())
            else:
                line.show(_READING)

    thread = threading.Thread(target=poll, name="seallm-progress", daemon=True)
    thread.start()
    try:
        return next(deltas, None)
    finally:
        is_over.set()
        thread.join()
