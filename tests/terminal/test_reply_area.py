"""The terminal while a reply streams, as pyte shows it: whole screens."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import redirect_stderr

import pytest

from seallm_edge.terminal.reply_area import Notes, ReplyArea
from seallm_edge.terminal.typed_ahead import TypedAhead
from support.terminal import screen_of

pytest.importorskip("pyte")
COLUMNS, ROWS = 20, 8


class Shown(io.StringIO):
    """Output whose text a screen shows."""

    def __init__(self) -> None:
        super().__init__()
        self.screen, self.feed = screen_of(ROWS, COLUMNS)

    def write(self, text: str) -> int:
        self.feed(text.replace("\r\n", "\n").replace("\n", "\r\n"))  # as a terminal driver does
        return len(text)

    def rows(self) -> list[str]:
        return [row.rstrip() for row in self.screen.display]


@pytest.fixture
def size(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    size = [COLUMNS, ROWS]
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size(size))
    return size


@pytest.fixture
def typed() -> TypedAhead:
    return TypedAhead()


@pytest.fixture
def output() -> Shown:
    shown = Shown()
    shown.write("› Hi\n")
    return shown


@pytest.fixture
def widths() -> list[int]:
    return []


@pytest.fixture
def area(size: list[int], typed: TypedAhead, output: Shown, widths: list[int]) -> Iterator[ReplyArea]:
    with ReplyArea(typed, widths.append, output) as area:
        yield area


def type_(area: ReplyArea, typed: TypedAhead, text: str) -> None:
    for char in text:
        typed.press(char, char)
        area.show_input()


def test_the_reply_stands_above_the_input_and_the_status(area: ReplyArea, typed: TypedAhead, output: Shown) -> None:
    area.write("Halo!")
    area.show_status("12 characters/s")
    type_(area, typed, "dua")
    area.write(" Apa kabar?\nBaik.")
    assert output.rows() == ["› Hi", "Halo! Apa kabar?", "Baik.", "", "", "", "› dua", "12 characters/s"]
    assert (output.screen.cursor.y, output.screen.cursor.x) == (6, 5)


@pytest.mark.parametrize(
    "text", ["សួស្តី", "မင်္ဂလာပါ", "வணக்கம்", "สวัสดี น้ำ", "ສະບາຍດີ", "Việt", "Vie\u0323\u0302t", "你好", "ភាសា\u200bខ្មែរ"]
)
def test_every_script_is_shown_as_typed_and_as_replied(
    text: str, area: ReplyArea, typed: TypedAhead, output: Shown
) -> None:
    type_(area, typed, text)
    for char in text:
        area.write(char)
    assert [output.rows()[1], output.rows()[6]] == [text, f"› {text}"]


def test_a_long_reply_scrolls_and_its_rows_are_in_the_scrollback(area: ReplyArea, output: Shown) -> None:
    area.write("\n".join(f"row {number}" for number in range(9)))
    assert output.rows() == ["row 3", "row 4", "row 5", "row 6", "row 7", "row 8", "›", ""]
    gone = ["".join(row[x].data for x in range(COLUMNS)).rstrip() for row in output.screen.history.top]
    assert gone == ["› Hi", "row 0", "row 1", "row 2"]


def test_of_a_long_input_the_end_is_shown(area: ReplyArea, typed: TypedAhead, output: Shown) -> None:
    type_(area, typed, "abcdefghijklmnopqrstuvwxyz")
    assert output.rows()[6:] == ["› nopqrstuvwxyz", ""]
    typed.press("home", "")
    area.show_input()
    assert output.rows()[6:] == ["› abcdefghijklmnopq", ""]
    assert output.screen.cursor.x == 2


def test_line_feeds_and_control_characters_take_no_row_of_their_own(
    area: ReplyArea, typed: TypedAhead, output: Shown
) -> None:
    typed.press("<bracketed-paste>", "one\ntwo\x1b[2J")
    area.show_input()
    assert output.rows()[6] == "› one⏎two␛[2J"


def test_a_status_that_is_too_long_is_cut(area: ReplyArea, output: Shown) -> None:
    area.show_status("សួស្តី · 1,234 of 8,192 tokens")
    assert output.rows()[7] == "សួស្តី · 1,234 of 8,19"
    assert output.rows()[6] == "›"


def test_afterwards_the_lower_rows_are_free_and_the_whole_terminal_scrolls(
    size: list[int], typed: TypedAhead, output: Shown
) -> None:
    with ReplyArea(typed, lambda _: None, output) as area:
        area.show_status("status")
        type_(area, typed, "dua")
        area.write("Halo!")
    assert output.rows() == ["› Hi", "Halo!", "", "", "", "", "", ""]
    area.write("late")
    area.show_status("late")
    area.show_input()
    output.write("\n" + "\n".join(f"row {number}" for number in range(8)))
    assert output.rows() == [f"row {number}" for number in range(8)]


def test_at_the_bottom_of_the_terminal_rows_are_made_free(size: list[int], typed: TypedAhead, output: Shown) -> None:
    output.write("\n" * 6)
    with ReplyArea(typed, lambda _: None, output) as area:
        area.write("Halo!")
        assert output.rows() == ["", "", "", "", "", "Halo!", "›", ""]
    assert output.rows() == ["", "", "", "", "", "Halo!", "", ""]


def test_after_a_resize_the_reply_continues_on_a_new_row(
    area: ReplyArea, typed: TypedAhead, output: Shown, size: list[int], widths: list[int]
) -> None:
    area.write("\n".join(f"row {number}" for number in range(9)))
    type_(area, typed, "dua")
    size[:] = [15, 10]
    output.screen.resize(10, 15)
    area.show_status("status")
    area.write("Halo!")
    rows = output.rows()
    assert rows[-2:] == ["› dua", "status"]
    assert [row for row in rows[:-2] if row][-2:] == ["row 8", "Halo!"]
    assert widths == [15]


def test_what_is_told_on_stderr_stands_in_the_reply(area: ReplyArea, output: Shown) -> None:
    with redirect_stderr(Notes(area)) as notes:
        print("(the oldest turn left the context)", file=notes)
        area.write("Halo!")
        print("(not saved)", file=notes)
        area.write("Hai!")
    assert output.rows()[:6] == ["› Hi", "(the oldest turn lef", "t the context)", "Halo!", "(not saved)", "Hai!"]
