"""Sizes in words for people."""

import pytest

from seallm_edge.files.sizes import readable


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [
        (0, "0.00 MB"),
        (30_081_024, "30.08 MB"),
        (99_999_999, "100.00 MB"),
        (100_000_000, "0.10 GB"),
        (986_048_768, "0.99 GB"),
        (4_683_074_240, "4.68 GB"),
    ],
)
def test_sizes_have_two_decimals_and_become_gigabytes_at_a_tenth_of_one(n_bytes: int, words: str) -> None:
    assert readable(n_bytes) == words
