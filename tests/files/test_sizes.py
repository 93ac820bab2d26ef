"""Sizes in words for people, and rates from them."""

import pytest

from seallm_edge.errors import InvalidOption
from seallm_edge.files.sizes import parse_rate, readable


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


@pytest.mark.parametrize(
    ("text", "rate"), [("300K", 300_000), ("2M", 2_000_000), ("1.5MB/s", 1_500_000), ("4000", 4_000), ("64k", 64_000)]
)
def test_rates_are_bytes_per_second(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "K", "1e999", "nan", "-3K"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match="is no rate"):
        parse_rate(text)
