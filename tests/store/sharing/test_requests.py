"""Headers of requests to a share."""

import socket

import pytest

from seallm_edge.store.sharing.requests import is_one_range, is_own_host, span_of


@pytest.mark.parametrize(
    ("wanted", "span"),
    [
        ("", (0, 100)),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=100-", None),
        ("bytes=20-10", None),
        ("bytes=-0", None),
        ("bytes=-", (0, 100)),
        ("bytes=0-1,5-6", (0, 100)),
        ("lines=1-2", (0, 100)),
        ("bytes=١-٢", (0, 100)),
    ],
)
def test_range_is_one_span_or_the_whole_file(wanted: str, span: tuple[int, int] | None) -> None:
    assert span_of(wanted, 100) == span


def test_several_ranges_are_no_range() -> None:
    assert is_one_range("bytes=1-2")
    assert not is_one_range("bytes=1-2,4-5")
    assert not is_one_range("bytes=-")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8976", "localhost", "LOCALHOST:80", "[::1]:8976", "192.168.1.5", "[fe80::1%eth0]:1",
     socket.gethostname()],
)  # fmt: skip
def test_own_host_is_an_address_or_the_own_name(host: str) -> None:
    assert is_own_host(host)


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:8976", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_name_of_a_page_that_rebinds_is_not_own(host: str) -> None:
    assert not is_own_host(host)
