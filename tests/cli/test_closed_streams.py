"""Every command with a standard stream closed, as by `2>&-`: only answers on stdout, and no traceback."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.cli import output
from seallm_edge.cli.progress import ProgressLine

DEMO = "smollm2-135m-instruct"
CAPITAL = ("run", DEMO, "What is the capital of Japan?", "--temperature", "0", "--context", "512")
STAND_IN = b"SmolLM2-135M-Instruct: English stand-in for trying seallm-edge out; it is no SeaLLMs model\n"
COMMANDS = (
    ("--version",), ("models",), ("show", DEMO), ("doctor",), ("doctor", DEMO), ("tune", DEMO, "--forget"),
    ("verify", "none.gguf"), ("convert", "none"), ("quantize", "none.gguf", "out.gguf"), ("merge", "none.gguf"),
    ("split", "none.gguf", "--size", "1G"), ("draft-table", DEMO, "none.txt"), ("chat", "none"), CAPITAL,
)  # fmt: skip

posix = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell closes the streams")


def run_without(closed: str, seallm: Any, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", *seallm.command(*arguments)]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)


@posix
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: words[0])
def test_without_stderr_stdout_holds_what_it_holds_with_it(seallm: Any, arguments: tuple[str, ...]) -> None:
    whole, closed = run_without("", seallm, *arguments), run_without("2>&-", seallm, *arguments)
    assert (closed.returncode, closed.stderr) == (whole.returncode, b"")
    if arguments[0] in ("doctor", "models"):  # these tell the memory that is free now
        assert len(closed.stdout.splitlines()) == len(whole.stdout.splitlines())
    else:
        assert closed.stdout == whole.stdout


@posix
def test_json_is_json_without_stderr(seallm: Any) -> None:
    result = run_without("2>&-", seallm, *CAPITAL, "--json")
    assert json.loads(result.stdout)["text"] == "The capital of Japan is Tokyo."


@posix
def test_an_error_without_stderr_prints_nothing(seallm: Any) -> None:
    result = run_without("2>&-", seallm, "run", "nomodel", "Hi")
    assert (result.returncode, result.stdout, result.stderr) == (1, b"", b"")


@posix
@pytest.mark.parametrize("closed", [">&-", "<&- >&-"])
def test_without_stdout_stderr_holds_the_diagnostics_alone(seallm: Any, closed: str) -> None:
    result = run_without(closed, seallm, *CAPITAL)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", STAND_IN)


@posix
def test_without_any_stream_files_are_written_whole(seallm: Any, demo_file: Path, tmp_path: Path) -> None:
    result = run_without("<&- >&- 2>&-", seallm, "split", str(demo_file), "--size", "60M", "-o", str(tmp_path / "part"))
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    parts = sorted(tmp_path.glob("part-*.gguf"))
    merged = run_without("<&- >&- 2>&-", seallm, "merge", str(parts[0]), "-o", str(tmp_path / "one.gguf"))
    assert merged.returncode == 0
    assert (tmp_path / "one.gguf").stat().st_size > sum(part.stat().st_size for part in parts[1:])


def test_a_diagnostic_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output.diagnostic("no model named 'x'")
    assert capsys.readouterr() == ("", "no model named 'x'\n")


def test_a_diagnostic_without_stderr_goes_nowhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", None)
        output.diagnostic("no model named 'x'")
        with ProgressLine() as line:
            line.show_share("loading", 0.5)
            line.note("connection lost")
    assert capsys.readouterr() == ("", "")
