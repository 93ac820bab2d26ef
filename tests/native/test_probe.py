"""Which verdicts are remembered: those on the backend, not those on the moment."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.native import probe
from seallm_edge.native.probe import Probe

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
SIGILL, SIGKILL, SIGTERM = 4, 9, 15


class Children:
    """Child processes that end as told, one after the other."""

    def __init__(self, *endings: int | type[Exception]) -> None:
        self.endings = list(endings)

    def __call__(self, command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        ending = self.endings.pop(0)
        if isinstance(ending, type):
            raise subprocess.TimeoutExpired(command, 60)
        return subprocess.CompletedProcess(command, ending, "", "")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEALLM_HOME", str(tmp_path / "fresh"))
    (tmp_path / "libllama.so").write_bytes(b"code")
    return tmp_path / "libllama.so"


def trials(library: Path, monkeypatch: pytest.MonkeyPatch, *endings: int | type[Exception]) -> list[str]:
    """The verdicts of two processes in a row."""
    monkeypatch.setattr(probe.subprocess, "run", Children(*endings))
    return [Probe(library).trial(None) for _ in range(2)]


def test_a_crash_is_remembered(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashed = "a trial run died of SIGILL"
    assert trials(library, monkeypatch, -SIGILL) == [crashed, crashed]


def test_success_is_remembered(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trials(library, monkeypatch, 0) == ["", ""]


@pytest.mark.parametrize("ending", [-SIGKILL, -SIGTERM, subprocess.TimeoutExpired])
def test_a_child_that_was_stopped_from_outside_is_asked_again(
    library: Path, monkeypatch: pytest.MonkeyPatch, ending: int | type[Exception]
) -> None:
    first, second = trials(library, monkeypatch, ending, 0)
    assert first.startswith("a trial run ")
    assert second == ""


def test_scores_that_did_not_come_in_time_are_asked_again(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe.subprocess, "run", Children(subprocess.TimeoutExpired))
    assert Probe(library).scores((library,)) == {library: 0}
    answer = subprocess.CompletedProcess([], 0, f"{library}\t7\n", "")
    monkeypatch.setattr(probe.subprocess, "run", lambda *_arguments, **_options: answer)
    assert Probe(library).scores((library,)) == {library: 7}
