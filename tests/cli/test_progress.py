"""The progress line, on a terminal that is a list of what was written."""

import io
import sys
import time
from types import SimpleNamespace

import pytest

from seallm_edge.cli import output, progress
from seallm_edge.cli.progress import ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    for module in (output, progress):  # pytest itself sets sys.stderr between a fixture and its test
        monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=made))
    monkeypatch.setenv("COLUMNS", "40")
    return made


def test_a_share_is_drawn_in_place_and_erased_at_the_end(terminal: Terminal) -> None:
    with ProgressLine() as line:
        for share in (0.0, 0.001, 1.0):
            line.show_share("loading", share)
    assert terminal.getvalue() == "\r\x1b[Kloading   0%\r\x1b[Kloading 100%\r\x1b[K"


def test_bytes_come_with_their_speed_since_the_first_that_was_shown(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setenv("COLUMNS", "100")
    line = ProgressLine()
    for seconds, done in ((0, 1_000_000_000), (2, 1_500_000_000)):
        now[0] = 100.0 + seconds
        line.show_bytes("converting", done, 2_000_000_000)
    assert terminal.getvalue() == (
        "\r\x1b[Kconverting  50%, 1.00 GB of 2.00 GB\r\x1b[Kconverting  75%, 1.50 GB of 2.00 GB, 0.25 GB/s, 2 s left"
    )


def test_a_line_is_cut_at_the_width_of_the_terminal(terminal: Terminal) -> None:
    ProgressLine().show("x" * 100)
    assert terminal.getvalue() == "\r\x1b[K" + "x" * 39


def test_a_note_stands_above_the_line(terminal: Terminal) -> None:
    line = ProgressLine()
    line.show("reading")
    line.note("the connection was lost")
    line.show("reading")
    assert terminal.getvalue() == "\r\x1b[Kreading\r\x1b[Kthe connection was lost\n\r\x1b[Kreading"


def test_nothing_is_drawn_where_stderr_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with ProgressLine() as line:
        line.show("reading")
    assert pipe.getvalue() == ""
