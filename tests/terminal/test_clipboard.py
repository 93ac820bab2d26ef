"""The clipboard: which program or sequence takes a text, and the last code block of an answer."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import pytest

from seallm_edge import InvalidOption
from seallm_edge.terminal.clipboard import MAX_SENT, Tool, copy, last_code_block, tools

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="shell scripts as programs")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def program(folder: Path, name: str, line: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


@pytest.fixture
def desktop(tmp_path: Path) -> dict[str, str]:
    """Environment of a desktop with xclip, which writes what it takes to a file."""
    program(tmp_path, "xclip", f"/bin/cat > {tmp_path}/taken; [ ! -e {tmp_path}/broken ]")
    return {"PATH": str(tmp_path), "DISPLAY": ":0", "TERM": "xterm"}


@posix_only
def test_a_program_of_the_desktop_takes_the_text(desktop: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", desktop["PATH"])
        assert copy("สวัสดี", desktop, terminal) == "xclip"
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "สวัสดี"
    assert terminal.getvalue() == ""


@posix_only
@pytest.mark.parametrize("line", ["exit 1", "exec sleep 30"])
def test_a_program_that_fails_or_hangs_leaves_it_to_the_terminal(
    desktop: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr("seallm_edge.terminal.clipboard._SECONDS", 0.2)
    program(tmp_path, "xclip", line.replace("sleep", "/bin/sleep"))
    terminal = Terminal()
    monkeypatch.setenv("PATH", desktop["PATH"])
    assert copy("សួស្តី", desktop, terminal) == ""
    encoded = base64.b64encode("សួស្តី".encode()).decode()
    assert terminal.getvalue() == f"\x1b]52;c;{encoded}\x1b\\"


@posix_only
def test_over_ssh_no_program_of_the_far_machine_is_asked(desktop: dict[str, str]) -> None:
    assert [tool.command[0] for tool in tools(desktop)] == ["xclip"]
    assert tools({**desktop, "SSH_CONNECTION": "1 2 3 4"}) == []


@posix_only
def test_in_tmux_its_buffer_comes_first(desktop: dict[str, str], tmp_path: Path) -> None:
    program(tmp_path, "tmux", "exit 0")
    found = tools({**desktop, "TMUX": "/tmp/tmux,1,0"})
    assert found == [Tool(("tmux", "load-buffer", "-w", "-")), Tool(("xclip", "-selection", "clipboard"))]


@pytest.mark.parametrize(
    ("terminal", "term", "text", "problem"),
    [
        (io.StringIO(), "xterm", "a", "this terminal has no clipboard"),
        (Terminal(), "dumb", "a", "this terminal has no clipboard"),
        (Terminal(), "linux", "a", "this terminal has no clipboard"),
        (Terminal(), "xterm", "a" * MAX_SENT, "100,000 characters are too many for the clipboard of a terminal"),
    ],
)
def test_a_text_that_cannot_be_copied_is_refused(terminal: io.StringIO, term: str, text: str, problem: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        copy(text, {"TERM": term, "PATH": ""}, terminal)
    assert caught.value.message == problem
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("markdown", "code"),
    [
        ("no code, and `inline`", None),
        ("```python\nprint(1)\n```", "print(1)"),
        ("```\none\n```\ntext\n~~~sh\ntwo\n\nthree\n~~~\nend", "two\n\nthree"),
        ("````\n```\nnested\n```\n````", "```\nnested\n```"),
        ("```\ncut off", "cut off"),
        ("1. step\n\n   ```\n   a\n     b\n   ```", "a\n  b"),
        ("> ```\n> quoted\n> ```", "quoted"),
        ("- ```\n  a\n  ```", "a"),
        ("```\n```", ""),
        ("``` not a fence ```", None),
    ],
)
def test_the_last_code_block(markdown: str, code: str | None) -> None:
    assert last_code_block(markdown) == code
