"""`InputLine`: one message at a time from the keyboard, with editing if prompt-toolkit is installed."""

from __future__ import annotations

import contextlib
import os
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..translations import _
from .bindings import bindings
from .printing import PROMPT
from .typed_ahead import unquoted

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.history import History
    from prompt_toolkit.output import Output
    from prompt_toolkit.styles import Style

# Erase from the start of a row on. The usual sequence alone, at the first row, is for tmux a cleared screen, which it
# would add to the scrollback at each key of an input that fills the terminal.
_ERASE_DOWN = "\x1b[K\x1b7\x1b[B\r\x1b[J\x1b8"
_MAX_KEPT = 10_000  # characters of a message in the file of earlier messages


class InputLine:
    """Input line of the chat.

    `history` is a file of earlier messages for the arrow keys and Ctrl-R; without one they are those of this program.
    `status` gives the text of the line under the prompt, `on_text` gets what is typed at every change, and `on_shown`
    is called whenever the line is drawn.
    """

    def __init__(
        self,
        completer: Completer | None = None,
        history: Path | None = None,
        *,
        status: Callable[[], str] | None = None,
        on_text: Callable[[str], None] | None = None,
        on_shown: Callable[[], None] | None = None,
    ) -> None:
        self._hinted: list[bool] = []
        self._session = _session(completer, history, self._hinted, status)
        if self._session:
            _redraw_complex_scripts(self._session)
            self._session.default_buffer.on_text_changed += lambda buffer: self._hinted.clear()
            if on_shown:
                self._session.app.after_render += lambda _app: on_shown()
            if on_text:
                self._session.default_buffer.on_text_changed += lambda buffer: on_text(buffer.text)

    def read(self, text: str = "", position: int | None = None, *, is_hinted: bool = False) -> str | None:
        """One message, None at the end of input. The line begins with `text`, and the cursor at `position`.

        Raises KeyboardInterrupt for a second Ctrl-C at an empty prompt; with `is_hinted` the next one is the second.
        """
        if self._session is None:
            return _plain_line()
        session = self._session

        def begin() -> None:
            self._hinted[:] = [True] * is_hinted
            session.default_buffer.cursor_position = len(text) if position is None else position

        try:
            with _output_above_prompt():
                return unquoted(session.prompt(PROMPT, default=text, prompt_continuation="  ", pre_run=begin))
        except EOFError:
            return None

    @property
    def has_editing(self) -> bool:
        """Whether prompt-toolkit is there: without it lines are read as the terminal gives them."""
        return self._session is not None

    def remember(self, message: str) -> None:
        """Add a message that was read elsewhere to the earlier ones."""
        if self._session:
            self._session.history.append_string(message)

    def refresh(self) -> None:
        """Show the status anew, from any thread."""
        if self._session:
            self._session.app.invalidate()

    def fail(self, error: BaseException) -> None:
        """Let `read`, which waits in another thread, raise an error. Does nothing where it does not wait."""
        app = self._session.app if self._session else None
        if app and app.loop:
            app.loop.call_soon_threadsafe(lambda: app.is_running and not app.is_done and app.exit(exception=error))


def _session(
    completer: Completer | None, history: Path | None, hinted: list[bool], status: Callable[[], str] | None
) -> PromptSession[str] | None:
    """Session of prompt-toolkit; None where that is not installed."""
    try:
        from prompt_toolkit import PromptSession
    except ImportError:
        return None
    _count_spacing_marks()
    return PromptSession(
        completer=completer,
        complete_while_typing=False,
        history=input_history(history),
        key_bindings=bindings(hinted),
        bottom_toolbar=status and (lambda: f"{status()} "),  # a sign at the end of the line would be drawn twice
        style=_style(),
        output=_terminal_output(),
    )


def _terminal_output() -> Output | None:
    """Output for the prompt where stdout is no terminal but stderr is; None for the usual one."""
    if sys.stdout.isatty() or sys.stderr is None or not sys.stderr.isatty():
        return None
    from prompt_toolkit.output import create_output

    return create_output(stdout=sys.stderr)


def _style() -> Style:
    from prompt_toolkit.styles import Style

    quiet = "noreverse" if os.environ.get("NO_COLOR") else "noreverse ansibrightblack"
    return Style.from_dict({"bottom-toolbar": quiet, "bottom-toolbar.text": quiet})


def _output_above_prompt() -> contextlib.AbstractContextManager[None]:
    """Context in which other threads print above the prompt; stdout that is no terminal stays as it is."""
    if not sys.stdout.isatty():
        return contextlib.nullcontext()
    from prompt_toolkit.patch_stdout import patch_stdout

    return patch_stdout(raw=True)


def _count_spacing_marks() -> None:
    """Let prompt-toolkit give a cell to the spacing vowel signs of Khmer, Burmese and Tamil, as terminals do.

    Counted as none, a long line would be wider than prompt-toolkit thinks, and be cut at the right margin.
    """
    from prompt_toolkit import utils

    utils.wcwidth = _width  # type: ignore[assignment,attr-defined]


def _width(char: str) -> int:
    import wcwidth

    return 1 if unicodedata.category(char) == "Mc" else wcwidth.wcwidth(char)


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


def _redraw_complex_scripts(session: PromptSession[str]) -> None:
    """Redraw the whole line at each change of text that is not ASCII.

    prompt-toolkit writes only the changed columns by its own count. Terminals count the columns of Khmer and Burmese
    signs differently, so that letters would be wrong or stay behind.
    """

    was_ascii = True
    output = session.app.output

    def erase_down() -> None:
        output.write_raw(_ERASE_DOWN)

    def redraw(buffer: Any) -> None:
        nonlocal was_ascii
        is_ascii = buffer.text.isascii()
        if not (was_ascii and is_ascii):
            renderer = session.app.renderer
            free_rows = renderer._min_available_height  # which `erase` forgets, and the status line would go
            renderer.erase()
            renderer._min_available_height = free_rows
            output.write_raw("\r")
            output.erase_down()
        was_ascii = is_ascii

    output.erase_down = erase_down  # type: ignore[method-assign]
    session.default_buffer.on_text_changed += redraw
    session.default_buffer.on_cursor_position_changed += redraw


def _plain_line() -> str | None:
    while True:
        try:
            return unquoted(input(PROMPT))
        except EOFError:
            return None
        except UnicodeDecodeError:
            print(_("this line is not UTF-8; set the terminal's encoding to it"), file=sys.stderr)
