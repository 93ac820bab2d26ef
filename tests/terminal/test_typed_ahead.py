"""The line that is typed while a reply streams."""

from __future__ import annotations

import unicodedata

import pytest
from prompt_toolkit.input.vt100_parser import Vt100Parser

from seallm_edge.terminal.typed_ahead import TypedAhead

LEFT, RIGHT, DELETE, BACKSPACE, ENTER, ESCAPE = "\x1b[D", "\x1b[C", "\x1b[3~", "\x7f", "\r", "\x1b"
HOME, END, WORD_LEFT, WORD_RIGHT = "\x1b[H", "\x1b[F", "\x1b[1;5D", "\x1b[1;5C"


def after(keys: str) -> TypedAhead:
    """The line after what a terminal sends for these keys."""
    typed = TypedAhead()
    parser = Vt100Parser(lambda press: typed.press(str(getattr(press.key, "value", press.key)), press.data))
    parser.feed_and_flush(keys)
    return typed


@pytest.mark.parametrize(
    ("keys", "before", "behind"),
    [
        ("abc" + LEFT + "x", "abx", "c"),
        ("น้ำ" + BACKSPACE, "น้", ""),
        ("ကို" + BACKSPACE, "ကိ", ""),
        ("a🇹🇭" + BACKSPACE, "a", ""),
        ("កម្ពុជា" + LEFT * 2 + DELETE, "ក", "ជា"),
        ("កម្ពុជា" + LEFT + RIGHT + "x", "កម្ពុជាx", ""),
        ("one two" + WORD_LEFT, "one ", "two"),
        ("one two" + HOME + WORD_RIGHT, "one", " two"),
        ("one two" + HOME + "x" + END + "y", "xone twoy", ""),
        ("one two\x17", "one ", ""),
        ("one two" + LEFT + "\x15", "", "o"),
        ("one two" + HOME + "\x0b", "", ""),
        ("vie" + BACKSPACE + "êt", "viêt", ""),
        (unicodedata.normalize("NFD", "tiếng"), unicodedata.normalize("NFD", "tiếng"), ""),
        ("ភាសា\u200bខ្មែរ", "ភាសា\u200bខ្មែរ", ""),
        ("\x1b[200~one\r\ntwo\rthree\x1b[201~", "one\ntwo\nthree", ""),
        ("one" + ESCAPE + ENTER + "two", "one\ntwo", ""),
        ('"""one' + ENTER + "two", '"""one\ntwo', ""),
        ("\x1b[A\x1b[B\t\x04", "", ""),
    ],
)
def test_keys_edit_the_line(keys: str, before: str, behind: str) -> None:
    typed = after(keys)
    assert (typed.text[: typed.position], typed.text[typed.position :]) == (before, behind)
    assert not typed.waiting


def test_enter_lets_a_message_wait_and_empty_ones_are_none() -> None:
    typed = after("one" + ENTER + ENTER + "  " + ENTER + '"""two' + ENTER + 'three"""' + ENTER + "four")
    assert (list(typed.waiting), typed.text) == (["one", "two\nthree"], "four")


def test_what_waits_comes_back_into_the_line() -> None:
    typed = after("one" + ENTER + "two" + ENTER + "thr" + LEFT)
    typed.take_back("sent")
    assert (typed.text, typed.position, list(typed.waiting)) == ("sent\none\ntwo\nthr", 16, [])
    assert typed.take() == ("sent\none\ntwo\nthr", 16)
    assert typed.take() == ("", 0)
