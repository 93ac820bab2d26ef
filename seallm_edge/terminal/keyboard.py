"""Keyboard input: one message at a time, with editing if prompt-toolkit is installed, and no echo during a reply."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import editing

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

PROMPT = "› "
QUOTES = '"""'  # a message between them may have several lines
_MAX_KEPT = 10_000  # characters of a message in the file of earlier messages
LEAVE_HINT = "(Ctrl-C again, or Ctrl-D, leaves)"


def line_reader(completer: Completer | None = None, history: Path | None = None) -> Callable[[], str | None]:
    """Function that reads one message, None at the end of input.

    `history` is a file of earlier messages for the arrow keys and Ctrl-R; without one they are those of this program.
    The function raises KeyboardInterrupt for a second Ctrl-C at an empty prompt.
    """
    try:
        from prompt_toolkit import PromptSession
    except ImportError:
        return _plain_line
    hinted: list[bool] = []
    session: PromptSession[str] = PromptSession(
        completer=completer,
        complete_while_typing=False,
        history=input_history(history),
        key_bindings=_bindings(hinted),
    )
    _redraw_complex_scripts(session)

    def read() -> str | None:
        try:
            return unquoted(session.prompt(PROMPT, prompt_continuation="  ", pre_run=hinted.clear))
        except EOFError:
            return None

    return read


def input_history(file: Path | None) -> History:
    """Earlier messages in a file that only its owner can read; in memory where it cannot be written."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    class InputHistory(FileHistory):
        """File of messages; long pastes stay out of it, and a full disk does not end the chat."""

        def store_string(self, string: str) -> None:
            """Append a message."""
            if len(string) <= _MAX_KEPT:
                with contextlib.suppress(OSError):
                    super().store_string(string)

    if file is not None:
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            with file.open("ab+") as opened:  # which a folder, or a file without permissions, refuses
                opened.seek(0)
                opened.read(1)
            return InputHistory(str(file))
    return InMemoryHistory()


def is_open(text: str) -> bool:
    """Whether a message begins with three quotation marks that are not closed yet, so that Enter begins a new line."""
    started = text.lstrip()
    return started.startswith(QUOTES) and not (len(started) >= 2 * len(QUOTES) and started.rstrip().endswith(QUOTES))


def unquoted(text: str) -> str:
    """Message without the three quotation marks around it."""
    inner = text.strip()
    is_quoted = len(inner) >= 2 * len(QUOTES) and inner.startswith(QUOTES) and inner.endswith(QUOTES)
    return inner[len(QUOTES) : -len(QUOTES)].strip("\n") if is_quoted else text


@contextmanager
def silent_keyboard() -> Iterator[None]:
    """Turn off the echo of keys during the block; keys pressed in it wait for the next prompt."""
    if sys.platform == "win32" or sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    import termios

    local_modes = 3  # ref: termios(3): the index of c_lflag
    before = termios.tcgetattr(sys.stdin)
    silent = [*before]
    silent[local_modes] &= ~(termios.ECHO | termios.ICANON)  # canonical mode would cut a line of 4,096 bytes
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


def _bindings(hinted: list[bool]) -> KeyBindings:
    """Keys that differ from prompt-toolkit's own: new lines, steps by grapheme cluster and word, Backspace, Ctrl-C.

    `hinted` is not empty where this prompt has been hinted at once.
    """
    from prompt_toolkit.key_binding import KeyBindings

    bindings = KeyBindings()
    _add_steps(bindings)
    _add_interrupt(bindings, hinted)
    _add_new_lines(bindings)
    return bindings


def _add_new_lines(bindings: KeyBindings) -> None:
    from prompt_toolkit.application import get_app
    from prompt_toolkit.filters import Condition, has_focus

    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    bindings.add("escape", "enter")(new_line)
    is_quoted = Condition(lambda: is_open(get_app().current_buffer.text))
    bindings.add("enter", filter=has_focus("DEFAULT_BUFFER") & is_quoted)(new_line)


def _add_steps(bindings: KeyBindings) -> None:
    from prompt_toolkit.filters import has_focus, has_selection

    at_prompt = has_focus("DEFAULT_BUFFER") & ~has_selection

    def step(*keys: str, move: Callable[[str, int], int]) -> None:
        @bindings.add(*keys, filter=at_prompt)
        def _(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            for _ in range(event.arg):
                buffer.cursor_position = move(buffer.text, buffer.cursor_position)

    for keys, move in (
        (("left",), editing.before), (("c-b",), editing.before), (("right",), editing.after), (("c-f",), editing.after),
        (("c-left",), editing.word_before), (("escape", "b"), editing.word_before),
        (("c-right",), editing.word_after), (("escape", "f"), editing.word_after),
    ):  # fmt: skip
        step(*keys, move=move)

    @bindings.add("delete", filter=at_prompt)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        buffer.delete(editing.after(buffer.text, buffer.cursor_position) - buffer.cursor_position)

    @bindings.add("backspace", filter=at_prompt)
    def _(event: KeyPressEvent) -> None:
        for _ in range(event.arg):
            _take_back(event.current_buffer)


def _take_back(buffer: Buffer) -> None:
    buffer.delete_before_cursor(editing.deleted_by_backspace(buffer.text, buffer.cursor_position))


def _add_interrupt(bindings: KeyBindings, hinted: list[bool]) -> None:
    """Ctrl-C clears a line; at an empty prompt it hints first, so that one press too many loses nothing."""
    from prompt_toolkit.application import run_in_terminal
    from prompt_toolkit.filters import has_focus

    @bindings.add("c-c", filter=has_focus("DEFAULT_BUFFER"))
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
            hinted.clear()
        elif hinted:
            event.app.exit(exception=KeyboardInterrupt(), style="class:exiting")
        else:
            hinted.append(True)
            run_in_terminal(lambda: print(LEAVE_HINT, file=sys.stderr))

    @bindings.add("<any>", filter=has_focus("DEFAULT_BUFFER"))
    def _(event: KeyPressEvent) -> None:
        hinted.clear()
        event.current_buffer.insert_text(event.data * event.arg)


def _plain_line() -> str | None:
    while True:
        try:
            return unquoted(input(PROMPT))
        except EOFError:
            return None
        except UnicodeDecodeError:
            print("this line is not UTF-8; set the terminal's encoding to it", file=sys.stderr)
