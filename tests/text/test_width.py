"""Rows of a list, cut by cells."""

import pytest

from seallm_edge.text.width import cells, one_row


@pytest.mark.parametrize(
    ("text", "n_cells", "row"),
    [
        ("Ibu kota", 8, "Ibu kota"),
        ("Ibu kota", 7, "Ibu ko…"),
        ("Ibu kota", 5, "Ibu…"),
        ("Ibu kota", 6, "Ibu k…"),
        ("one\n two\tthree", 20, "one two three"),
        ("中文中文", 8, "中文中文"),
        ("中文中文", 7, "中文中…"),
        ("中文中文", 6, "中文…"),
        ("a\x1b[2J", 10, "a␛[2J"),
        ("", 3, ""),
        ("abc", 1, "…"),
    ],
)
def test_a_row_takes_at_most_its_cells(text: str, n_cells: int, row: str) -> None:
    assert one_row(text, n_cells) == row


@pytest.mark.parametrize("text", ["ប្រទេសកម្ពុជាមានប្រជាជន", "မြန်မာနိုင်ငံတွင်", "👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧", "தமிழ்நாட்டில்"])
def test_so_it_does_in_every_script(text: str) -> None:
    for n_cells in range(1, cells(text)):
        row = one_row(text, n_cells)
        assert cells(row) <= n_cells
        assert text.startswith(row[:-1])
        assert row[-1] == "…"
