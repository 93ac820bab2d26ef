"""The status line: whole lines for each state of the chat."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import pytest

from seallm_edge import EngineError, Reply, ScriptedEngine, SeaLLM, Timings, Usage
from seallm_edge.chat import BackgroundLoad, Conversation
from seallm_edge.chat.background_load import OnProgress
from seallm_edge.terminal import status
from seallm_edge.terminal.status import StatusLine, bar

REPLY = Reply("Halo!", "stop", Usage(10, 0, 20, 60), Timings(0.5, 0.5, 1.5, 1.6, 1.34))


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    columns = [100]
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((columns[0], 24)))
    return columns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(status.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def talk() -> Conversation:
    return Conversation(SeaLLM.from_engine(ScriptedEngine(["Halo!"], n_ctx=1000)))


def test_at_the_prompt_it_tells_the_model_and_how_full_the_context_is(talk: Conversation) -> None:
    line = StatusLine(talk, "scripted")
    assert line.at_prompt() == "scripted · 0 of 1,000 tokens (0%)"
    list(talk.say("Hi"))
    n_tokens = talk.context().n_tokens
    talk.last_reply = REPLY
    assert line.at_prompt() == (
        f"scripted · {n_tokens} of 1,000 tokens ({n_tokens / 1000:.0%}) · 60 characters/s · drafting 1.3×"
    )


def test_drafting_that_gained_nothing_is_not_told(talk: Conversation) -> None:
    talk.last_reply = replace(REPLY, timings=replace(REPLY.timings, speedup=1.02))
    assert StatusLine(talk, "scripted").at_prompt() == "scripted · 0 of 1,000 tokens (0%) · 60 characters/s"


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (100, "scripted · 0 of 1,000 tokens (0%) · 60 characters/s · drafting 1.3×"),
        (60, "0 of 1,000 tokens (0%) · 60 characters/s · drafting 1.3×"),
        (45, "0 of 1,000 tokens (0%) · 60 characters/s"),
        (30, "0 of 1,000 tokens (0%)"),
        (10, "0 of 1,000 tokens (0%)"),
    ],
)
def test_on_a_narrow_terminal_the_name_goes_first(
    width: int, shown: str, talk: Conversation, columns: list[int]
) -> None:
    talk.last_reply = REPLY
    columns[0] = width
    assert StatusLine(talk, "scripted").at_prompt() == shown


def test_while_the_model_loads_it_tells_how_far() -> None:
    told, end = threading.Event(), threading.Event()

    def load(on_progress: OnProgress) -> SeaLLM:
        on_progress(0.5)
        told.set()
        end.wait()
        return SeaLLM.from_engine(ScriptedEngine([]))

    pending = BackgroundLoad(load)
    line = StatusLine(Conversation(pending), "the-name")
    told.wait()
    assert line.at_prompt() == "the-name · loading ██████░░░░░░ 50%"
    assert line.in_reply(2) == "the-name · loading ██████░░░░░░ 50% · 2 waiting"
    end.set()
    pending.wait()
    assert line.at_prompt() == "scripted · 0 of 8,192 tokens (0%)"


def test_a_load_that_failed_is_left_to_the_prompt() -> None:
    def load(_on_progress: OnProgress) -> SeaLLM:
        raise EngineError("out of memory", "close other programs")

    pending = BackgroundLoad(load)
    with pytest.raises(EngineError):
        pending.wait()
    assert StatusLine(Conversation(pending), "the-name").at_prompt() == "the-name"


def test_a_prompt_that_takes_long_has_a_bar_and_the_time_left(
    talk: Conversation, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    share = [0.2]
    monkeypatch.setattr(Conversation, "prompt_share", property(lambda _: share[0]))
    line = StatusLine(talk, "scripted")
    line.begin()
    assert line.in_reply() == "scripted"
    clock[0] += 1
    assert line.in_reply() == "scripted · reading the prompt ██░░░░░░░░░░ 20%"  # a cached beginning took no time
    clock[0] += 4
    share[0] = 0.6
    assert line.in_reply() == "scripted · reading the prompt ███████░░░░░ 60%, 4 s left"


def test_while_the_reply_streams_it_tells_its_speed(talk: Conversation, clock: list[float]) -> None:
    line = StatusLine(talk, "scripted")
    line.begin()
    line.add("ជំរាប")
    assert line.in_reply() == "scripted · Ctrl-C stops"
    clock[0] += 2
    line.add("សួរ!!")
    assert line.in_reply(1) == "scripted · 5 characters/s · 1 waiting · Ctrl-C stops"


@pytest.mark.parametrize(("share", "shown"), [(-1, "░" * 12), (0, "░" * 12), (0.5, "█" * 6 + "░" * 6), (2, "█" * 12)])
def test_the_bar_has_twelve_cells(share: float, shown: str) -> None:
    assert bar(share) == shown
