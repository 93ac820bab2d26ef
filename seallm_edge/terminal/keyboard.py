"""Keyboard input: one message at a time, with editing if prompt-toolkit is installed, and no echo during a reply."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.key_binding import KeyBindings

PROMPT = "› "


def line_reader(words: list[str]) -> Callable[[], str | None]:
    """Function that reads one message, None at the end of input; the Tab key completes `words`."""
    try:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter
    except ImportError:
        return _plain_line
    session: PromptSession[str] = PromptSession(
        completer=WordCompleter(words, sentence=True), complete_while_typing=False, key_bindings=_new_line_key()
    )
    _redraw_complex_scripts(session)

    def read() -> str | None:
        try:
            return session.prompt(PROMPT, prompt_continuation="  ")
        except EOFError:
            return None

    return read


@contextmanager
def silent_keyboard() -> Iterator[None]:
    """Turn off the echo of keys during the block; keys pressed in it wait for the next prompt."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios

    local_modes = 3  # ref: termios(3): the index of c_lflag
    before = termios.tcgetattr(sys.stdin)
    silent = [*before]
    silent[local_modes] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def _redraw_complex_scripts(session: PromptSession[str]) -> None:
    """Redraw the whole line at each change.

    prompt-toolkit writes only the changed columns by its own count. Terminals count the columns of Khmer and Burmese
    signs differently, so that letters would be wrong or stay behind.
    """

    def redraw(_buffer: Any) -> None:
        session.app.renderer.erase()
        session.app.output.write_raw("\r")
        session.app.output.erase_down()

    session.default_buffer.on_text_changed += redraw
    session.default_buffer.on_cursor_position_changed += redraw


def _new_line_key() -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    bindings = KeyBindings()

    @bindings.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return bindings


def _plain_line() -> str | None:
    try:
        return input(PROMPT)
    except EOFError:
        return None
