"""Choice of one row of a short list: by arrow keys, or by its number where prompt-toolkit is not installed.

Its rows are the caller's. Knows no models.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..translations import _
from .printing import PROMPT, number_in, tell

if TYPE_CHECKING:
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent


def choose(rows: Sequence[str]) -> int | None:
    """Index of the row that the user chooses; None for none (Esc, Ctrl-C, an empty line)."""
    if sys.stdout.isatty():
        try:
            return _by_arrow_keys(rows)
        except ImportError:
            pass
    return by_number(rows, _read_line)


def by_number(rows: Sequence[str], ask: Callable[[str], str | None]) -> int | None:
    """Index of the row whose number is answered; other words are asked again."""
    for number, row in enumerate(rows, 1):
        tell(f"{number:>2} {row}")
    while True:
        words = (ask(_("number (Enter: none)")) or "").strip()
        if not words or words == "0":
            return None
        if (place := number_in(words, len(rows))) is not None:
            return place


def _by_arrow_keys(rows: Sequence[str]) -> int | None:
    from prompt_toolkit.application import Application
    from prompt_toolkit.layout import FormattedTextControl, Layout, Window

    place = 0

    def shown() -> StyleAndTextTuples:
        lines = [
            ("reverse" if n == place else "", f"{PROMPT if n == place else '  '}{row}\n") for n, row in enumerate(rows)
        ]
        return [*lines, ("", _("arrow keys choose, Enter takes, Esc leaves"))]

    def move(step: int) -> None:
        nonlocal place
        place = (place + step) % len(rows)

    control = FormattedTextControl(shown, show_cursor=False)
    application: Application[int | None] = Application(
        Layout(Window(control, height=len(rows) + 1)), key_bindings=_keys(move, lambda: place), erase_when_done=True
    )
    return application.run()


def _keys(move: Callable[[int], None], chosen: Callable[[], int]) -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    def step(by: int) -> Callable[[KeyPressEvent], None]:
        return lambda _event: move(by)

    for key, by in (("up", -1), ("down", 1), ("c-p", -1), ("c-n", 1)):
        keys.add(key)(step(by))
    keys.add("enter")(lambda event: event.app.exit(result=chosen()))
    for key in ("escape", "c-c", "c-d"):
        keys.add(key)(lambda event: event.app.exit(result=None))
    return keys


def _read_line(question: str) -> str | None:
    tell(question)
    try:
        return input(PROMPT)
    except EOFError:
        return None
