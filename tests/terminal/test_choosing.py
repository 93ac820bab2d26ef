"""Choice of a row of a list: by arrow keys at a real terminal, and by number."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from seallm_edge.terminal.choosing import by_number
from support.terminal import Terminal

UP, DOWN, ENTER, ESCAPE, CTRL_C = "\x1b[A", "\x1b[B", "\r", "\x1b", "\x03"
PROGRAM = "from seallm_edge.terminal.choosing import choose; print('chosen:', choose(['one', 'two', 'three']))"
HELP = "arrow keys choose, Enter takes, Esc leaves"


def begun(program: str = PROGRAM) -> Terminal:
    terminal = Terminal([sys.executable, "-c", program])
    terminal.wait_for("three")
    return terminal


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        ([ENTER], "0"),
        ([DOWN, ENTER], "1"),
        ([DOWN, DOWN, DOWN, ENTER], "0"),
        ([UP, ENTER], "2"),
        ([ESCAPE], "None"),
        ([CTRL_C], "None"),
    ],
)
def test_arrow_keys_choose_a_row(keys: list[str], chosen: str) -> None:
    terminal = begun()
    assert terminal.lines() == ["› one", "  two", "  three", HELP]
    for key in keys:
        terminal.type(key)
    assert terminal.end() == 0
    assert terminal.lines() == [f"chosen: {chosen}"]


def test_without_prompt_toolkit_the_rows_have_numbers() -> None:
    terminal = begun(f"import sys; sys.modules['prompt_toolkit.application'] = None; {PROGRAM}")
    terminal.wait_for("›")
    assert terminal.lines()[:4] == [" 1 one", " 2 two", " 3 three", "number (Enter: none)"]
    terminal.type(f"2{ENTER}")
    terminal.wait_for("chosen: 1")
    assert terminal.end() == 0


@pytest.mark.parametrize(
    ("answers", "chosen"), [(["2"], 1), (["4", "x", "1"], 0), ([""], None), (["0"], None), ([None], None)]
)
def test_a_number_chooses_and_other_words_are_asked_again(answers: list[str | None], chosen: int | None) -> None:
    left: Iterator[str | None] = iter(answers)
    assert by_number(["one", "two", "three"], lambda _: next(left)) == chosen
    assert list(left) == []
