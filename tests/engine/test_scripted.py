"""`ScriptedEngine`, for the tests of apps: it behaves as the real engine does."""

import asyncio
import threading
import time

import pytest

from seallm_edge import EngineError, ScriptedEngine, SeaLLM

GREETINGS = ["สวัสดี", "ជំរាបសួរ", "မင်္ဂလာပါ", "வணக்கம்"]


def test_it_answers_with_its_replies_in_order_and_in_whole_characters() -> None:
    llm = SeaLLM.from_engine(ScriptedEngine(GREETINGS))
    for greeting in GREETINGS:
        stream = llm.stream("hello")
        pieces = list(stream)
        assert "".join(pieces) == greeting
        assert "\ufffd" not in "".join(pieces)
        assert stream.reply.finish_reason == "stop"


def test_after_its_last_reply_it_says_so() -> None:
    with pytest.raises(EngineError, match="the script has no more replies"):
        SeaLLM.from_engine(ScriptedEngine([])).chat("hello")


def test_an_exception_is_raised_and_a_function_is_given_the_prompt() -> None:
    llm = SeaLLM.from_engine(ScriptedEngine([EngineError("out of memory"), lambda prompt: prompt[-30:]]))
    with pytest.raises(EngineError, match="out of memory"):
        llm.chat("hello")
    assert llm.chat("hello").text.endswith("<|im_start|>assistant\n")


def test_it_notes_what_it_was_asked() -> None:
    engine = ScriptedEngine(["yes"])
    SeaLLM.from_engine(engine).chat("Is it raining?", temperature=0, max_tokens=2)
    assert "Is it raining?" in engine.prompts[0]
    assert engine.requests[0].sampling.temperature == 0


def test_limits_and_stop_texts_hold_as_for_a_model() -> None:
    llm = SeaLLM.from_engine(ScriptedEngine(["one two three", "one two three", "ဗမာ"]))
    assert llm.chat("x", max_tokens=5).text == "one t"
    assert llm.chat("x", stop=[" three"]).text == "one two"
    assert llm.chat("x", max_tokens=1).text == "ဗ"


def test_a_slow_reply_can_be_cancelled_from_another_thread() -> None:
    llm = SeaLLM.from_engine(ScriptedEngine(["a" * 1000], delay=0.005))
    stream = llm.stream("hello")
    threading.Timer(0.1, stream.cancel).start()
    text = stream.read().text
    assert 0 < len(text) < 1000
    assert stream.reply.finish_reason == "cancelled"


def test_closing_it_ends_a_slow_reply_with_an_error() -> None:
    llm = SeaLLM.from_engine(ScriptedEngine(["a" * 1000], delay=0.005))
    stream = llm.stream("hello")
    next(stream)
    llm.close()
    with pytest.raises(EngineError, match="this model is closed"):
        stream.read()
    with pytest.raises(EngineError, match="this model is closed"):
        llm.chat("hello")


def test_async_replies_come_from_it_too() -> None:
    llm = SeaLLM.from_engine(ScriptedEngine(GREETINGS, delay=0.001))

    async def ask() -> list[str]:
        return [reply.text for reply in await asyncio.gather(*(llm.achat("hello") for _ in GREETINGS))]

    assert sorted(asyncio.run(ask())) == sorted(GREETINGS)


def test_it_has_no_file_and_no_plan_and_says_what_it_is() -> None:
    llm = SeaLLM.from_engine(ScriptedEngine([], n_ctx=100))
    assert (llm.header, llm.card, llm.plan) == (None, None, None)
    assert repr(llm) == "<SeaLLM scripted, context 100>"


def test_a_slow_reply_takes_its_time() -> None:
    llm = SeaLLM.from_engine(ScriptedEngine(["abcdefghij"], delay=0.01))
    started = time.perf_counter()
    llm.chat("hello")
    assert time.perf_counter() - started >= 0.1
