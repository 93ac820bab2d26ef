"""Cached verdicts on CPU variants: those on the backend are kept, those on temporary failures are not."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.native import child, probe
from seallm_edge.native.probe import Probe
from seallm_edge.native.verdicts import REFUSAL_SECONDS, forget_refusals

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


class Scores:
    """Child processes that score every backend alike, and how many there were."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.n_children = 0

    def __call__(self, command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        self.n_children += 1
        return subprocess.CompletedProcess(command, 0, "".join(f"{path}\t{self.answer}\n" for path in command[5:]), "")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEALLM_HOME", str(tmp_path / "fresh"))
    (tmp_path / "libllama.so").write_bytes(b"code")
    return tmp_path / "libllama.so"


def trials(library: Path, monkeypatch: pytest.MonkeyPatch, *endings: int | type[Exception]) -> list[str]:
    """The verdicts of two processes in a row."""
    monkeypatch.setattr(child.subprocess, "run", Children(*endings))
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
    monkeypatch.setattr(child.subprocess, "run", Children(subprocess.TimeoutExpired))
    assert Probe(library).scores((library,)) == {library: "a trial run failed: no answer within 60 s"}
    answer = subprocess.CompletedProcess([], 0, f"{library}\t7\n", "")
    monkeypatch.setattr(child.subprocess, "run", lambda *_arguments, **_options: answer)
    assert Probe(library).scores((library,)) == {library: 7}


def test_a_refusal_counts_for_a_day(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(child.subprocess, "run", Children(-SIGILL, 0))
    crashed = "a trial run died of SIGILL"
    assert Probe(library).trial(None) == crashed
    monkeypatch.setattr(time, "time", lambda: now + REFUSAL_SECONDS - 60)
    assert Probe(library).trial(None) == crashed
    monkeypatch.setattr(time, "time", lambda: now + REFUSAL_SECONDS + 60)
    assert Probe(library).trial(None) == ""


def test_a_refusal_of_a_clock_that_went_wrong_is_asked_again(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child.subprocess, "run", Children(-SIGILL, 0))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    assert Probe(library).trial(None) == "a trial run died of SIGILL"
    monkeypatch.setattr(time, "time", lambda: now)
    assert Probe(library).trial(None) == ""


def test_what_was_good_stays_so(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child.subprocess, "run", Children(0))
    assert Probe(library).trial(None) == ""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1000 * REFUSAL_SECONDS)
    forget_refusals()
    assert Probe(library).trial(None) == ""


def test_refusals_that_are_forgotten_are_asked_again(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child.subprocess, "run", Children(-SIGILL, 0))
    assert Probe(library).trial(None) == "a trial run died of SIGILL"
    forget_refusals()
    assert Probe(library).trial(None) == ""


@pytest.mark.parametrize(
    ("answer", "score", "n_later", "n_forgotten"),
    [("7", 7, 1, 1), ("0", 0, 1, 2), ("it cannot be loaded: noise", "it cannot be loaded: noise", 2, 3)],
)
def test_scores_are_asked_again_a_day_after_a_problem_and_where_a_refusal_is_forgotten(
    library: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    score: int | str,
    n_later: int,
    n_forgotten: int,
) -> None:
    monkeypatch.setattr(child.subprocess, "run", scores := Scores(answer))
    assert [Probe(library).scores((library,)) for _ in range(2)] == [{library: score}] * 2
    assert scores.n_children == 1
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + REFUSAL_SECONDS + 60)
    assert (Probe(library).scores((library,)), scores.n_children) == ({library: score}, n_later)
    forget_refusals()
    assert (Probe(library).scores((library,)), scores.n_children) == ({library: score}, n_forgotten)


def test_a_backend_whose_driver_has_gone_is_asked_anew(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child.subprocess, "run", Scores("1"))
    assert Probe(library).loads(library) == ""
    monkeypatch.setattr(child.subprocess, "run", Scores("it cannot be loaded"))
    assert Probe(library).loads(library) == ""
    assert Probe(library).loads(library, anew=True) == "it cannot be loaded"
    assert Probe(library).loads(library) == "it cannot be loaded"


def test_another_processor_asks_again(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child.subprocess, "run", Children(-SIGILL, 0))
    assert Probe(library).trial(None) == "a trial run died of SIGILL"
    monkeypatch.setattr(probe, "cpu_identity", lambda: "cpuid 1")
    assert Probe(library).trial(None) == ""


@pytest.mark.parametrize("entry", ["", {"answer": ""}, {"answer": [], "time": 1}, {"answer": {"a": []}, "time": 1}])
def test_verdicts_of_another_form_are_none(entry: Any, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child.subprocess, "run", children := Children(0, -SIGILL))
    assert Probe(library).trial(None) == ""
    (kept,) = (tmp := library.parent / "fresh" / "cache").iterdir()
    content = json.loads(kept.read_text())
    ((question, machines),) = content["questions"].items()
    kept.write_text(json.dumps(content | {"questions": {question: dict.fromkeys(machines, entry)}}))
    assert Probe(library).trial(None) == "a trial run died of SIGILL"
    assert children.endings == []
    kept.write_text(json.dumps(content | {"questions": {question: dict.fromkeys(machines, entry)}}))
    forget_refusals()
    assert json.loads(kept.read_text())["questions"] == {}
    assert [path.name for path in tmp.iterdir()] == ["backends.json"]
