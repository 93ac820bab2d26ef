"""Lines of a list: texts cut to whole grapheme clusters, and moments of local time."""

import pytest

from seallm_edge.text.lines import local_minute, one_line
from seallm_edge.text.unicode import graphemes


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("one\n two\tthree", "one two t…"),
        ("a\x1b[31m", "a␛[31m"),
        ("ភាសា\u200bខ្មែរ", "ភាសា\u200bខ្មែរ"),
        ("", ""),
        ("x" * 10, "x" * 10),
        ("x" * 11, "x" * 9 + "…"),
    ],
)
def test_a_text_is_one_line_of_ten_clusters_at_most(text: str, line: str) -> None:
    assert one_line(text, 10) == line


def test_no_cluster_is_cut() -> None:
    text = "နေကောင်းပါသလား။ ဒီနေ့ ရာသီဥတု သာယာပါတယ်။"
    assert one_line(text, 5) == "".join(graphemes(text)[:4]) + "…"


def test_moments_have_minutes_and_impossible_ones_none() -> None:
    assert local_minute(1_795_847_440.9)[-3] == ":"
    assert len(local_minute(0)) == len("1970-01-01 00:00")
    assert (local_minute(1e300), local_minute(float("nan"))) == ("", "")
