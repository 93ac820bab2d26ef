"""A model that loads behind the chat: waiting for it, its errors, and its end."""

from __future__ import annotations

import threading

import pytest

from seallm_edge import EngineError, ScriptedEngine, SeaLLM
from seallm_edge.chat import BackgroundLoad, Conversation, History
from seallm_edge.chat.background_load import OnProgress


class HeldLoad:
    """Load that goes on until `end` is set, and counts how often it has told its share."""

    def __init__(self) -> None:
        self.began, self.end = threading.Event(), threading.Event()
        self.engine = ScriptedEngine(["Halo!"])

    def __call__(self, on_progress: OnProgress) -> SeaLLM:
        self.began.set()
        while not self.end.wait(0.01):
            on_progress(0.5)
        return SeaLLM.from_engine(self.engine)


def test_a_conversation_waits_for_its_model_only_where_it_needs_it() -> None:
    held = HeldLoad()
    load = BackgroundLoad(held)
    talk = Conversation(load, title="Salam")
    assert (talk.messages, talk.title, load.is_loading) == ([], "Salam", True)
    threading.Timer(0.2, held.end.set).start()
    assert list(talk.say("Hi")) == list("Halo!")
    assert (load.is_loading, load.error, talk.llm) == (False, None, load.wait())


def test_the_load_tells_its_share() -> None:
    held = HeldLoad()
    load = BackgroundLoad(held)
    held.began.wait()
    while load.share != 0.5:
        assert load.is_loading
    held.end.set()
    load.wait()


def test_a_waiting_load_begins_when_it_is_told_or_needed() -> None:
    held = HeldLoad()
    held.end.set()
    load = BackgroundLoad(held, is_waiting=True)
    assert not held.began.wait(0.05)
    load.begin()
    assert held.began.wait(5)
    again = BackgroundLoad(held, is_waiting=True)
    assert again.wait().name == "scripted"


def test_what_ends_the_load_is_raised_where_the_model_is_needed() -> None:
    failure = EngineError("out of memory", "close other programs")

    def fail(_on_progress: OnProgress) -> SeaLLM:
        raise failure

    load = BackgroundLoad(fail)
    talk = Conversation(load)
    for _ in range(2):
        with pytest.raises(EngineError, match="out of memory"):
            list(talk.say("Hi"))
    assert (load.error, talk.messages) == (failure, [])
    load.close()


def test_closing_ends_a_load_that_goes_on() -> None:
    held = HeldLoad()
    load = BackgroundLoad(held)
    held.began.wait()
    load.close()
    assert not load.is_loading
    assert not any(thread.name == "seallm-native-call" for thread in threading.enumerate())


def test_closing_closes_a_loaded_model() -> None:
    held = HeldLoad()
    held.end.set()
    load = BackgroundLoad(held)
    talk = Conversation(load)
    list(talk.say("Hi"))
    load.close()
    load.close()
    with pytest.raises(EngineError):
        list(talk.say("Hi"))


def test_another_model_continues_the_conversation() -> None:
    first, second = ScriptedEngine(["Halo!"]), ScriptedEngine(["Baik."])
    talk = Conversation(SeaLLM.from_engine(first))
    list(talk.say("Hi"))
    talk.change_model(SeaLLM.from_engine(second))
    assert "".join(talk.say("Apa kabar?")) == "Baik."
    assert "Halo!" in second.prompts[0]
    assert [message.content for message in talk.messages] == ["Hi", "Halo!", "Apa kabar?", "Baik."]


def test_turns_that_left_a_small_context_come_back_in_a_larger_one() -> None:
    history = History.in_memory()
    small = Conversation(SeaLLM.from_engine(ScriptedEngine(["a" * 40] * 4, n_ctx=300)), history=history)
    for number in range(4):
        list(small.say(f"{number} " + "b" * 40))
    assert not all(entry.is_in_context for entry in small.context().entries)
    small.change_model(SeaLLM.from_engine(ScriptedEngine([], n_ctx=4096)))
    assert all(entry.is_in_context for entry in small.context().entries)
