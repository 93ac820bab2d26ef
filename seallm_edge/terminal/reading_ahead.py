"""Reading of keys while a reply streams: a thread feeds them to `TypedAhead` and keeps the status line alive."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .typed_ahead import TypedAhead

if TYPE_CHECKING:
    from prompt_toolkit.input.vt100_parser import Vt100Parser
    from prompt_toolkit.key_binding.key_processor import KeyPress

_TICK_SECONDS = 0.2  # between two looks at the status; also how long an Escape waits for the rest of its sequence
_PATIENCE_SECONDS = 5.0  # for the rest of a paste whose reply has ended
_PASTE_BEGINS, _PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"


@contextmanager
def silent_keyboard() -> Iterator[None]:
    """Turn off the echo of keys, and Ctrl-Z, during the block; keys that nobody reads wait for the next prompt."""
    if sys.platform == "win32" or sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    import termios

    before = termios.tcgetattr(sys.stdin)
    silent = [*before[:6], [*before[6]]]
    silent[3] &= ~(termios.ECHO | termios.ICANON)  # canonical mode would cut a line of 4,096 bytes
    silent[3] |= termios.NOFLSH  # Ctrl-C would drop what is on its way to the terminal, half an escape sequence too
    silent[0] &= ~termios.ICRNL  # Enter is c-m, as at the prompt
    for character in ("VSUSP", "VDSUSP"):  # a stopped program would leave the terminal divided
        if hasattr(termios, character):
            silent[6][getattr(termios, character)] = b"\0"
    termios.tcsetattr(sys.stdin, termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


@contextmanager
def reading_ahead(typed: TypedAhead, on_change: Callable[[], None], on_tick: Callable[[], None]) -> Iterator[None]:
    """Read keys into `typed` during the block. `on_change` is called after keys, `on_tick` five times a second; both in
    another thread. Keys that the terminal has not delivered at the end wait for the next prompt.
    """
    if sys.platform == "win32":
        yield
        return
    reader = _Reader(typed, on_change, on_tick)
    with silent_keyboard():
        reader.start()
        try:
            yield
        finally:
            reader.stop()


class _Reader:
    """Thread that reads standard input, a terminal."""

    def __init__(self, typed: TypedAhead, on_change: Callable[[], None], on_tick: Callable[[], None]) -> None:
        from prompt_toolkit.input.vt100_parser import Vt100Parser

        self._typed = typed
        self._on_change, self._on_tick = on_change, on_tick
        self._parser: Vt100Parser = Vt100Parser(self._press)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._tail = b""
        self._is_in_paste = False
        self._stop_after = float("inf")
        self._wake_reader, self._wake_writer = os.pipe()
        self._thread = threading.Thread(target=self._run, name="seallm-keyboard", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; it reads a character or a paste that has begun to its end."""
        self._stop_after = time.monotonic() + _PATIENCE_SECONDS
        os.write(self._wake_writer, b".")
        self._thread.join()
        self._parser.flush()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _run(self) -> None:
        import select

        stdin, next_tick = sys.stdin.fileno(), 0.0
        while not self._is_over():
            readable, _, _ = select.select([stdin, *self._wakers()], [], [], _TICK_SECONDS)
            if stdin in readable:
                if not self._read(stdin):
                    return
            elif not self._is_in_paste:
                self._parser.flush()
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + _TICK_SECONDS
                self._on_tick()

    def _is_over(self) -> bool:
        is_in_character = bool(self._decoder.getstate()[0])
        patience = self._stop_after - time.monotonic()
        return patience <= 0 or (patience <= _PATIENCE_SECONDS and not self._is_in_paste and not is_in_character)

    def _wakers(self) -> list[int]:
        return [] if self._stop_after < float("inf") else [self._wake_reader]

    def _read(self, stdin: int) -> bool:
        """Read what there is: whether the terminal is still there."""
        data = b""
        with contextlib.suppress(OSError):
            data = os.read(stdin, 1 << 16)
        around = self._tail + data
        begins, ends = around.rfind(_PASTE_BEGINS), around.rfind(_PASTE_ENDS)
        if begins != ends:
            self._is_in_paste = begins > ends
        self._tail = around[1 - len(_PASTE_BEGINS) :]
        self._parser.feed(self._decoder.decode(data))
        if data:
            self._on_change()
        return bool(data)

    def _press(self, press: KeyPress) -> None:
        self._typed.press(str(getattr(press.key, "value", press.key)), press.data)
