"""What is typed: one message at a time, with editing where prompt-toolkit is there; and silence while a reply comes."""

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
    """A function that asks for one message, None at the end of input; `words` are completed with the Tab key."""
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
    """Keys pressed inside this are not echoed into what is being shown; they wait for the next prompt."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios

    local_modes = 3  # ref: termios(3): the place of c_lflag
    before = termios.tcgetattr(sys.stdin)
    silent = [*before]
    silent[local_modes] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def _redraw_complex_scripts(session: PromptSession[str]) -> None:
    """Draw the whole line anew at each change.

    prompt-toolkit writes only what changed, at columns it has counted. Terminals count the columns of Khmer and
    Burmese signs in their own ways, so letters came out wrong or stayed behind.
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
