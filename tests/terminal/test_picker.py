"""The picker of a conversation: its rows, and what an answer does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from seallm_edge.chat import History
from seallm_edge.terminal.picker import pick
from seallm_edge.text.width import cells
from support.chat_screens import typed

Captured = pytest.CaptureFixture[str]
MORE = "number, or words to search for (Enter: more, 0: none)"
LAST = "number, or words to search for (Enter: none)"
KHMER = "ប្រទេសកម្ពុជាមានប្រជាជនដប់ប្រាំពីរលាននាក់ ហើយរាជធានីគឺភ្នំពេញ"


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "history.sqlite") as opened:
        yield opened


def stored(history: History, *titles: str) -> list[str]:
    """Ids of conversations with these titles, of which the first is the newest."""
    ids = [history.create(title) for title in reversed(titles)]
    for id_, title in zip(ids, reversed(titles), strict=True):
        history.add_message(id_, None, "user", f"message about {title}")
    return ids[::-1]


def asking(*answers: str | None) -> tuple[list[str], object]:
    """(questions asked, a function that asks them)."""
    asked: list[str] = []
    read = typed(*answers)  # type: ignore[arg-type]
    return asked, lambda question: asked.append(question) or read()


def test_a_number_picks(history: History, capsys: Captured) -> None:
    ids = stored(history, "satu", "dua", "tiga")
    asked, ask = asking("2")
    assert pick(history, ask, ids[0]) == ids[1]
    out = capsys.readouterr().out.splitlines()
    assert [line[:15] for line in out] == [f" 1* {ids[0]} ", f" 2  {ids[1]} ", f" 3  {ids[2]} "]
    assert asked == [LAST]


@pytest.mark.parametrize("answers", [("",), ("0",), (None,), ()])
def test_an_empty_line_zero_and_the_end_of_input_pick_none(history: History, answers: tuple[str | None, ...]) -> None:
    stored(history, "satu", "dua")
    _, ask = asking(*answers)
    assert pick(history, ask) is None


def test_an_empty_line_shows_ten_more_and_their_numbers_go_on(history: History, capsys: Captured) -> None:
    ids = stored(history, *[f"title {n}" for n in range(12)])
    asked, ask = asking("", "12")
    assert pick(history, ask) == ids[11]
    assert asked == [MORE, LAST]
    assert [line[:3] for line in capsys.readouterr().out.splitlines()][9:] == ["10 ", "11 ", "12 "]


def test_words_filter_titles_and_messages(history: History, capsys: Captured) -> None:
    ids = stored(history, "Ibu kota", "ກຸງ", "other")
    history.add_message(ids[2], None, "user", "kucing saya lucu")
    asked, ask = asking("IBU", "kucing", "1")
    assert pick(history, ask) == ids[2]
    rows = capsys.readouterr().out.splitlines()[3:]
    assert [row[4:14] for row in rows] == [ids[0], ids[2]]
    assert asked == [LAST] * 3


def test_a_number_out_of_the_list_is_a_word(history: History, capsys: Captured) -> None:
    ids = stored(history, "2024", "other")
    _, ask = asking("2024", "1")
    assert pick(history, ask) == ids[0]


def test_words_that_match_nothing_leave_the_list(history: History, capsys: Captured) -> None:
    ids = stored(history, "satu", "dua")
    _, ask = asking("mangosteen", "2")
    assert pick(history, ask) == ids[1]
    assert capsys.readouterr().err == "no conversation holds 'mangosteen'\n"


def test_without_conversations_nothing_is_asked(history: History, capsys: Captured) -> None:
    asked, ask = asking()
    assert pick(history, ask) is None
    assert (asked, capsys.readouterr().err) == ([], "no conversation is stored yet\n")


@pytest.mark.parametrize("columns", [40, 80])
def test_rows_fit_the_terminal(
    history: History, capsys: Captured, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stored(history, KHMER * 2, "မြန်မာနိုင်ငံတွင် လူဦးရေ ငါးဆယ်လေးသန်း ရှိသည်။ " * 2, "word " * 30, "中文" * 30)
    _, ask = asking()
    pick(history, ask)
    rows = capsys.readouterr().out.splitlines()
    assert all(columns - 5 <= cells(row) < columns for row in rows)
    assert [row[-1] for row in rows] == ["…"] * 4
