import pytest
from hypothesis import given
from hypothesis import strategies as st

from seallm_edge.text.samples import SENTENCES
from seallm_edge.text.unicode import graphemes
from seallm_edge.text.width import cells, is_disputed
from seallm_edge.text.wrapping import Wrapper, wrap
from support.deltas import cut

ALL = " ".join(" ".join(both) for both in SENTENCES.values())


def shown(deltas: list[str], width: int) -> list[str]:
    """Output of each delta, and of the end."""
    wrapper: Wrapper[None] = Wrapper(width, lambda part, _: part)
    return [*(wrapper.add(delta, None) for delta in deltas), wrapper.end_line()]


def test_lines_are_filled_to_one_cell_less_than_the_width() -> None:
    assert wrap("aaaa bbbb cccc", 10) == ["aaaa bbbb", "cccc"]
    assert wrap("aaaa bbbbb cccc", 10) == ["aaaa", "bbbbb", "cccc"]


def test_indents_stand_before_each_line() -> None:
    assert wrap("one two three", 10, "1. ", "   ") == ["1. one", "   two", "   three"]


def test_line_feeds_end_lines_and_empty_lines_stay() -> None:
    assert wrap("one \n\n two", 40) == ["one", "", "two"]


def test_a_word_longer_than_the_line_is_broken_between_clusters() -> None:
    assert wrap("see https://example.com/abc", 11) == ["see", "https://ex", "ample.com/", "abc"]
    assert wrap("ក្រុងក្រុង", 3) == ["ក្រុ", "ង", "ក្រុ", "ង"]
    assert wrap("👩\u200d🍳👩\u200d🍳", 2) == ["👩\u200d🍳", "👩\u200d🍳"]


def test_a_url_that_fits_a_line_is_whole() -> None:
    assert wrap("see it on https://example.com/abc now", 30) == ["see it on", "https://example.com/abc now"]


def test_words_without_spaces_break_as_a_dictionary_says() -> None:
    pytest.importorskip("icu4py")
    assert wrap("เขาไปโรงเรียนกับเพื่อนทุกวันจันทร์", 16) == ["เขาไปโรงเรียนกับ", "เพื่อนทุกวันจันทร์"]


def test_a_zero_width_space_stays_at_the_end_of_its_line() -> None:
    pytest.importorskip("icu4py")  # or clusters are the words
    assert wrap("សូម\u200bកុំ\u200bមក", 5) == ["សូម\u200bកុំ\u200b", "មក"]


@pytest.mark.parametrize("width", [3, 20, 40, 80])
def test_no_line_is_wider_than_it_may_be_and_no_word_is_lost(width: int) -> None:
    lines = wrap(ALL, width)
    assert [line for line in lines if cells(line) >= max(width, 5)] == []
    assert "".join(lines).replace(" ", "") == ALL.replace(" ", "")


@pytest.mark.parametrize("width", [20, 80])
def test_the_output_does_not_depend_on_how_the_text_is_cut(width: int) -> None:
    for seed in range(10):
        assert "".join(shown(cut(ALL, seed), width)) == "\n".join(wrap(ALL, width))


@given(st.text(st.characters(blacklist_characters="\n")), st.integers(0, 9), st.integers(2, 30))
def test_the_output_of_any_text_does_not_depend_on_how_it_is_cut(text: str, seed: int, width: int) -> None:
    assert "".join(shown(cut(text, seed), width)) == "\n".join(wrap(text, width))


@pytest.mark.parametrize("code", SENTENCES)
def test_no_output_ends_inside_a_grapheme_cluster(code: str) -> None:
    text = SENTENCES[code][0]
    outputs = shown(list(text), 24)
    assert [cluster for output in outputs for cluster in graphemes(output)] == graphemes("".join(outputs))


def test_words_show_as_soon_as_they_are_complete() -> None:
    assert shown(["Hel", "lo", " the", "re."], 40) == ["", "", "Hello", "", " there."]


def test_text_without_spaces_shows_at_once_while_there_is_room() -> None:
    pytest.importorskip("icu4py")
    assert shown(["เขา", "ไป", "โรง", "เรียน"], 40) == ["เข", "าไ", "ปโร", "งเรีย", "น"]


def test_the_larger_of_two_counts_is_the_width() -> None:
    assert [cells(text) for text in ("ប្រទេសកម្ពុជា", "👩\u200d🍳", "น้ำใจ", "中文", "a\u200b", "")] == [10, 4, 4, 4, 1, 0]
    assert [is_disputed(text) for text in ("ប្រទេសកម្ពុជា", "👩\u200d🍳", "น้ำใจ", "中文", "abc")] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "ก" * 20_000, "e" + "\u0301" * 100_000, "👩\u200d" * 20_000, " " * 200_000]
)
def test_what_is_no_text_comes_through_whole(text: str) -> None:
    assert "".join(wrap(text, 80)).strip() == text.strip()
