"""Steps in an edited line, by grapheme cluster and by word, and what Backspace takes."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seallm_edge.terminal.editing import after, before, deleted_by_backspace, word_after, word_before
from seallm_edge.text.samples import TEXTS
from seallm_edge.text.unicode import graphemes

FLAG, FAMILY, KEYCAP = "🇹🇭", "👨‍👩‍👧", "1️⃣"


@pytest.mark.parametrize(
    "text", ["น้ำที่นี่", "កម្ពុជា", "မြန်မာ", "நிலம்", "tiếng", unicodedata.normalize("NFD", "tiếng"), FLAG + FAMILY]
)
def test_arrows_go_from_cluster_to_cluster(text: str) -> None:
    ends = [0]
    for cluster in graphemes(text):
        ends.append(ends[-1] + len(cluster))
    position, seen = 0, [0]
    while position < len(text):
        position = after(text, position)
        seen.append(position)
    assert seen == ends
    back = [position]
    while position:
        position = before(text, position)
        back.append(position)
    assert back == ends[::-1]
    assert (before(text, 0), after(text, len(text))) == (0, len(text))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("น้ำ", ["น้", "น", ""]),
        ("មី", ["ម", ""]),
        ("ကို", ["ကိ", "က", ""]),
        (unicodedata.normalize("NFD", "ế"), ["e\u0302", "e", ""]),
        ("ế", [""]),
        (f"a{FLAG}", ["a", ""]),
        (f"a{FAMILY}", ["a", ""]),
        (f"a{KEYCAP}", ["a", ""]),
        ("a👍🏽", ["a", ""]),
        ("ok", ["o", ""]),
        ("", []),
    ],
)
def test_backspace_takes_a_sign_or_a_whole_picture(text: str, left: list[str]) -> None:
    seen = []
    while text:
        text = text[: len(text) - deleted_by_backspace(text, len(text))]
        seen.append(text)
    assert seen == left


def test_words_are_those_of_the_language() -> None:
    assert [word_after("one two  three", p) for p in (0, 1, 3, 4, 9, 14)] == [3, 3, 7, 7, 14, 14]
    assert [word_before("one two  three", p) for p in (14, 9, 8, 4, 2, 0)] == [9, 4, 4, 0, 0, 0]
    thai = "ภาษาไทย ง่าย"
    assert word_after(thai, 4) == 7
    assert word_before(thai, len(thai)) == 8


@given(st.sampled_from(TEXTS), st.data())
def test_steps_always_move_and_never_leave_the_text(text: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(text)))
    for forth in (after, word_after):
        assert position < forth(text, position) <= len(text) or position == len(text)
    for back in (before, word_before):
        assert 0 <= back(text, position) < position or position == 0
    assert 0 <= deleted_by_backspace(text, position) <= position
