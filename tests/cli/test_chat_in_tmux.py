"""`seallm chat` in tmux, whose widths and scrollback are a real terminal's."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

if not shutil.which("tmux"):
    pytest.skip("tmux is not installed", allow_module_level=True)

DEMO = "smollm2-135m-instruct"
KHMER = "ប្រទេសកម្ពុជាមានប្រជាជនប្រមាណដប់ប្រាំពីរលាននាក់"
BURMESE = "မြန်မာနိုင်ငံတွင် လူဦးရေ ငါးဆယ်လေးသန်း ရှိသည်။"


class Pane:
    """Pane of 60 columns and 20 rows."""

    def __init__(self, command: list[str]) -> None:
        self._tmux = ["tmux", "-L", f"test-{uuid.uuid4().hex}", "-f", os.devnull, "-u"]
        environment = {name: value for name, value in os.environ.items() if name not in ("TMUX", "COLUMNS", "LINES")}
        start = ["new-session", "-d", "-x", "60", "-y", "20", shlex.join(command)]
        subprocess.run([*self._tmux, *start], check=True, env=environment)

    def ask(self, *command: str) -> str:
        """Output of a tmux command."""
        return subprocess.run([*self._tmux, *command], check=True, capture_output=True, text=True).stdout

    def type(self, text: str) -> None:
        """Type text."""
        self.ask("send-keys", "-l", "--", text)

    def rows(self) -> list[str]:
        """Rows of the screen."""
        return [row.rstrip() for row in self.ask("capture-pane", "-p").split("\n")]

    def wait_for(self, is_there: Callable[[list[str]], bool]) -> None:
        """Wait until the rows are as a function wants them."""
        end = time.monotonic() + 60
        while not is_there(self.rows()):
            assert time.monotonic() < end, "\n".join(self.rows())
            time.sleep(0.05)

    def scrollback(self) -> int:
        """Number of rows that have left the screen."""
        return int(self.ask("display-message", "-p", "#{history_size}"))

    def close(self) -> None:
        """End what runs in the pane."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def pane(seallm) -> Iterator[Pane]:  # type: ignore[no-untyped-def]
    pane = Pane(seallm.command("chat", DEMO, "--temperature", "0", "--context", "1024"))
    pane.wait_for(lambda rows: any("of 1,024 tokens" in row for row in rows))
    yield pane
    pane.close()


@pytest.mark.parametrize("text", [KHMER, BURMESE, "น้ำใจดีมากที่นี่", "ນ້ຳໃຈດີຫຼາຍ", "தமிழ்நாட்டில்", "Vie\u0323\u0302t Nam"])
def test_the_cursor_stands_behind_what_is_typed(text: str, pane: Pane) -> None:
    for char in text:
        pane.type(char)
    pane.wait_for(lambda rows: f"› {text}" in rows)
    pane.type("|")
    pane.wait_for(lambda rows: f"› {text}|" in rows)
    pane.ask("send-keys", "Left", "Left", "X")
    last = len(text.rstrip()) - 1
    pane.wait_for(lambda rows: any("X" in row and row.endswith("|") for row in rows))
    (row,) = (row for row in pane.rows() if "X" in row)
    assert row.replace("X", "") == f"› {text}|"
    assert row.index("X") <= last + 2


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("km", f"{DEMO} · 0 នៃ 1,024 token (0%)"),
        ("lo", f"{DEMO} · 0 ຈາກ 1,024 ໂທເຄັນ (0%)"),
        ("th", f"{DEMO} · 0 จาก 1,024 โทเค็น (0%)"),
        ("my", f"{DEMO} · token 1,024 အနက် 0 (0%)"),
        ("ta", f"{DEMO} · 1,024 டோக்கன்களில் 0 (0%)"),
    ],
)
def test_the_status_line_is_drawn_once_in_every_script(code: str, status: str, pane: Pane) -> None:
    pane.type(f"/lang {code}\r")
    pane.wait_for(lambda rows: status in rows)


def test_a_status_line_that_ends_with_a_sign_has_it_once(pane: Pane) -> None:
    pane.type("/lang km\r")
    pane.type("Count to twenty.\r")
    pane.wait_for(lambda rows: any("វិនាទី" in row and "token" in row for row in rows))
    assert not any("ទីី" in row for row in pane.rows())


@pytest.mark.parametrize("letter", ["a", "ก"])
def test_an_input_that_fills_the_screen_does_not_flood_the_scrollback(letter: str, pane: Pane) -> None:
    pane.type("\x1b[200~" + "\n".join(f"line {number}" for number in range(30)) + "\x1b[201~")
    pane.wait_for(lambda rows: "  line 29" in rows)
    pane.type(letter)
    pane.wait_for(lambda rows: f"  line 29{letter}" in rows)
    before = pane.scrollback()
    for _ in range(10):
        pane.type(letter)
    pane.wait_for(lambda rows: f"  line 29{letter * 11}" in rows)
    assert pane.scrollback() <= before + 2
