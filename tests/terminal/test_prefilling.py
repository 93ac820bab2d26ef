"""Prefill while typing: what it prefills, when, and that it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from seallm_edge import EngineError, ScriptedEngine, SeaLLM
from seallm_edge.chat import BackgroundLoad, Conversation
from seallm_edge.chat.background_load import OnProgress
from seallm_edge.terminal.prefilling import Prefilling


def eventually(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(["Halo!"] * 50)


@pytest.fixture
def prefilling(engine: ScriptedEngine) -> Iterator[Prefilling]:
    prefilling = Prefilling(Conversation(SeaLLM.from_engine(engine)), lambda _: None, lambda: None)
    yield prefilling
    prefilling.stop()
    assert not any(thread.name == "seallm-prefilling" for thread in threading.enumerate())


def test_the_conversation_is_prefilled_first_then_what_is_typed(prefilling: Prefilling, engine: ScriptedEngine) -> None:
    prefilling.start()
    eventually(lambda: len(engine.prompts) == 1)
    prefilling.typed("Apa kabar")
    eventually(lambda: len(engine.prompts) == 2)
    assert "Apa kabar<|im_end|>" in engine.prompts[1]


def test_text_that_stays_the_same_is_prefilled_once_and_a_command_never(
    prefilling: Prefilling, engine: ScriptedEngine
) -> None:
    prefilling.start()
    eventually(lambda: len(engine.prompts) == 1)
    prefilling.typed("/retry")
    prefilling.typed("/retry")
    time.sleep(0.6)
    assert len(engine.prompts) == 1


def test_without_a_pause_it_is_prefilled_all_the_same(prefilling: Prefilling, engine: ScriptedEngine) -> None:
    prefilling.start()
    text = ""
    while len(engine.prompts) < 3:
        text += "a"
        prefilling.typed(text)
        time.sleep(0.02)
        assert len(text) < 1000


def test_afterwards_nothing_is_prefilled(prefilling: Prefilling, engine: ScriptedEngine) -> None:
    prefilling.start()
    eventually(lambda: len(engine.prompts) == 1)
    prefilling.stop()
    prefilling.stop()
    prefilling.typed("late")
    time.sleep(0.4)
    assert len(engine.prompts) == 1
    prefilling.start()
    eventually(lambda: len(engine.prompts) == 2)
    assert "late" not in engine.prompts[1]


def test_it_stops_while_the_model_loads_and_tells_of_a_load_that_failed() -> None:
    end, ticks, errors = threading.Event(), [], []
    failure = EngineError("out of memory", "close other programs")

    def load(_on_progress: OnProgress) -> SeaLLM:
        end.wait()
        raise failure

    prefilling = Prefilling(Conversation(BackgroundLoad(load)), errors.append, lambda: ticks.append(1))
    prefilling.start()
    eventually(lambda: len(ticks) >= 2)
    prefilling.stop()
    prefilling.start()
    end.set()
    eventually(lambda: errors == [failure])
    prefilling.stop()


def test_a_context_that_is_too_small_ends_it_silently() -> None:
    errors: list[BaseException] = []
    engine = ScriptedEngine(["Halo!"] * 9, n_ctx=100)
    talk = Conversation(SeaLLM.from_engine(engine))
    prefilling = Prefilling(talk, errors.append, lambda: None)
    prefilling.start()
    prefilling.typed("long " * 100)
    time.sleep(0.5)
    prefilling.stop()
    assert not any("long" in prompt for prompt in engine.prompts)
    assert errors == []
