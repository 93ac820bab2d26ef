"""The progress line, on a terminal that records its output."""

import io
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from seallm_edge import ScriptedEngine, SeaLLM
from seallm_edge.cli import output, progress
from seallm_edge.cli.progress import ProgressLine
from seallm_edge.cli.warnings import show_warnings


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


def test_warnings_of_the_library_stand_above_whichever_line_is_shown(terminal: Terminal) -> None:
    show_warnings()
    show_warnings()
    logger = logging.getLogger("seallm_edge.engine")
    with ProgressLine() as line:
        line.show("loading")
        logger.info("of no interest")
        logging.getLogger("seallm_edge.native").error("llama_decode: failed")
        logger.warning("the GPU failed")
        line.show("loading more")
    logger.warning("and again")
    erase = "\r\x1b[K"
    assert terminal.getvalue() == (f"{erase}loading{erase}the GPU failed\n{erase}loading more{erase}and again\n")


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


class WatchedTerminal(io.StringIO):
    """A terminal that tells when something is drawn on it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_drawn_on = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.is_drawn_on.set()
        return super().write(text)


class SlowStream(Iterator[str]):
    """A stream whose first text comes after progress has been shown."""

    def __init__(self, terminal: WatchedTerminal) -> None:
        self._terminal = terminal
        self._deltas = iter(["one ", "two"])

    def __next__(self) -> str:
        assert self._terminal.is_drawn_on.wait(60)
        return next(self._deltas)


@pytest.mark.parametrize(("share", "line"), [(lambda: 0.25, "reading the prompt  25%"), (None, "reading the prompt")])
def test_the_share_of_the_prompt_is_shown_until_the_first_text_and_erased(
    monkeypatch: pytest.MonkeyPatch, share: Callable[[], float] | None, line: str
) -> None:
    terminal = WatchedTerminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0.01)
    stream = progress.text_of(SlowStream(terminal), share)
    assert next(stream) == "one "
    shown = terminal.getvalue()
    assert set(shown.split("\r\x1b[K")) == {"", line}
    assert shown.endswith("\r\x1b[K")
    assert list(stream) == ["two"]
    assert terminal.getvalue() == shown


def test_without_a_terminal_only_the_text_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    with SeaLLM.from_engine(ScriptedEngine(["Halo!", ""])) as llm:
        assert "".join(progress.text_of(llm.stream("x"))) == "Halo!"
        assert list(progress.text_of(llm.stream("x"))) == []
    assert stderr.getvalue() == ""


def test_a_stream_tells_how_much_of_its_prompt_is_prefilled(llm: SeaLLM) -> None:
    with llm.stream("What is the capital of Japan?", temperature=0) as stream:
        assert 0 <= stream.prompt_share <= 1
        stream.read()
        assert stream.prompt_share == 1
