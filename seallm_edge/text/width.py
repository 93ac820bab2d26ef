"""Cell widths of text at a terminal, counted cautiously: terminals disagree about them.

A terminal counts cells by grapheme cluster or by code point. In Khmer, Burmese and Tamil the first count is up to 25%
larger, in emoji made of several code points the second.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from .lines import one_line
from .unicode import clusters, graphemes


def cells(text: str) -> int:
    """Width of one line of text in cells: for each grapheme cluster the larger of the two counts."""
    return len(text) if text.isascii() else sum(map(_cells_of_cluster, clusters(text)))


def one_row(text: str, n_cells: int) -> str:
    """Text on one line, of at most `n_cells` cells on any terminal, with "…" in place of the rest."""
    line = one_line(text, max(1, n_cells) + 1)
    if cells(line) <= n_cells:
        return line
    return "".join(fitting(graphemes(line), n_cells - 1)).rstrip("… ") + "…"


def fitting(parts: Iterable[str], n_cells: int) -> list[str]:
    """First of the grapheme clusters, as many as take `n_cells` cells at most on any terminal."""
    kept = []
    for cluster in parts:
        n_cells -= cells(cluster)
        if n_cells < 0:
            break
        kept.append(cluster)
    return kept


def is_disputed(text: str) -> bool:
    """Whether terminals disagree about the width of `text`: nothing can be aligned after it."""
    import wcwidth

    return not text.isascii() and max(0, wcwidth.wcswidth(text)) != _cells_of_code_points(text)


@lru_cache(maxsize=4_096)
def _cells_of_cluster(cluster: str) -> int:
    import wcwidth

    spacing_mark = 1 if unicodedata.category(cluster[0]) == "Mc" else 0  # a cell beside its base, none alone
    return max(wcwidth.wcswidth(cluster), _cells_of_code_points(cluster), spacing_mark)


def _cells_of_code_points(text: str) -> int:
    import wcwidth

    return sum(max(0, wcwidth.wcwidth(char)) for char in text)
