"""Keys of the prompt beside prompt-toolkit's: steps by grapheme cluster and word, Backspace, new lines, Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..translations import _, marked
from . import editing
from .typed_ahead import is_open

if TYPE_CHECKING:
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

LEAVE_HINT = marked("(Ctrl-C again, or Ctrl-D, leaves)")


def bindings(hinted: list[bool]) -> KeyBindings:
    """Key bindings. `hinted` is not empty once this prompt has said that Ctrl-C leaves."""
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
    def interrupt(event: KeyPressEvent) -> None:
        if hinted:
            event.app.exit(exception=KeyboardInterrupt(), style="class:exiting")
        elif event.current_buffer.text:
            event.current_buffer.reset()
        else:
            hinted.append(True)
            run_in_terminal(lambda: print(_(LEAVE_HINT), file=sys.stderr))
