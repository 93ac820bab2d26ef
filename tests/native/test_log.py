import logging

import pytest

from seallm_edge.native.log import LogRelay

INFO, WARNING, ERROR, CONTINUATION = 2, 3, 4, 5


def test_lines_that_come_in_parts_are_logged_whole(caplog: pytest.LogCaptureFixture) -> None:
    relay = LogRelay()
    with caplog.at_level(logging.DEBUG, "seallm_edge.native"):
        relay.receive(ERROR, b"cannot ")
        relay.receive(CONTINUATION, b"read it\n")
        relay.receive(INFO, b"loading\n")
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", "cannot read it"),
        ("DEBUG", "loading"),
    ]


def test_the_last_complaints_are_kept_once() -> None:
    relay = LogRelay()
    for number in range(9):
        relay.receive(WARNING, b"trouble %d\n" % number)
    relay.receive(INFO, b"chatter\n")
    assert relay.take_complaints() == ("trouble 5", "trouble 6", "trouble 7", "trouble 8")
    assert relay.take_complaints() == ()


def test_bytes_that_are_no_utf8_do_no_harm() -> None:
    relay = LogRelay()
    relay.receive(ERROR, b"bad \xff name\n")
    assert relay.take_complaints() == ("bad \ufffd name",)
