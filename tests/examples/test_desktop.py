"""The desktop example without a screen: replies in a conversation, errors, and its end. Over scripted replies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from seallm_edge import EngineError, Request, ScriptedEngine, SeaLLM
from seallm_edge.chat import History
from support.desktop_window import scripted, until

GREETINGS = {
    "Thai": "สวัสดีครับ วันนี้อากาศดีมาก ผมพร้อมคุยกับคุณแล้วครับ",
    "Khmer": "សួស្តី! ថ្ងៃនេះអាកាសធាតុល្អណាស់។ តើអ្នកសុខសប្បាយទេ?",
    "Burmese": "မင်္ဂလာပါ။ ဒီနေ့ ရာသီဥတု သာယာပါတယ်။ နေကောင်းပါသလား။",
    "Lao": "ສະບາຍດີ! ມື້ນີ້ອາກາດດີຫຼາຍ. ເຈົ້າສະບາຍດີບໍ?",
}
A_WHILE = 0.003  # seconds a byte: these greetings take about half a second then
STORY = GREETINGS["Thai"] * 50


def stored(place: int = 0) -> list[tuple[str, str, str]]:
    """(role, content, state) of the messages of a stored conversation."""
    with History() as history:
        summaries = history.conversations()
        messages = history.tree(summaries[place].id).branch if summaries else ()
    return [(one.role, one.content, one.state) for one in messages]


def test_replies_arrive_whole_and_the_conversation_is_stored(open_window) -> None:
    engine, model = scripted(*GREETINGS.values())
    user = open_window(model)
    for language in GREETINGS:
        user.ask(f"Say hello in {language}.")
    expected = [
        pair for name, text in GREETINGS.items() for pair in (("user", f"Say hello in {name}."), ("reply", text))
    ]
    assert user.shown == expected
    roles = {"user": "user", "reply": "assistant"}
    assert stored() == [(roles[kind], text, "complete") for kind, text in expected]
    assert user.titles == ["Say hello in Thai."]
    assert [text in engine.prompts[-1] for text in GREETINGS.values()] == [True, True, True, False]


def test_what_is_sent_in_a_window_that_was_closed_is_ignored(open_window) -> None:
    _, model = scripted("Halo!", "again")
    user = open_window(model)
    user.ask("Hello.")
    user.window.close()
    user.window.input.setPlainText("Once more.")
    user.window.send()
    assert stored() == [("user", "Hello.", "complete"), ("assistant", "Halo!", "complete")]


def test_the_status_has_the_model_its_context_and_the_speed(open_window) -> None:
    _, model = scripted("Halo!", n_ctx=1000)
    user = open_window(model)
    assert user.window.status.text() == "scripted  ·  0 of 1,000 tokens (0%)"
    user.ask("Hello.")
    until(lambda: "characters/s" in user.window.status.text())
    before, speed = user.window.status.text().rsplit("  ·  ", 1)
    n_tokens = user.window.talk.conversation.context().n_tokens
    assert before == f"scripted  ·  {n_tokens} of 1,000 tokens ({n_tokens / 1000:.0%})"
    assert speed.removesuffix(" characters/s").replace(",", "").isdigit()


def test_a_reply_is_stored_as_the_model_wrote_it(open_window) -> None:
    text = "a\u00a0b\u2028c\td  \n\n"
    _, model = scripted(text)
    open_window(model).ask("Say something strange.")
    assert stored()[-1] == ("assistant", text, "complete")


def test_the_window_answers_while_a_reply_comes(open_window) -> None:
    from PySide6.QtTest import QTest

    _, model = scripted(STORY, delay=A_WHILE)
    user = open_window(model)
    user.send("Say hello.")
    until(lambda: user.written)
    first = user.written
    QTest.keyClicks(user.window.input, "next")
    user.window.resize(620, 500)
    until(lambda: len(user.written) > len(first))
    assert STORY.startswith(user.written)
    assert user.window.input.toPlainText() == "next"
    assert user.is_replying


@pytest.mark.parametrize("by", ["button", "Escape"])
def test_stop_ends_the_reply_and_keeps_what_was_written(open_window, by: str) -> None:
    _, model = scripted(STORY, "Halo!", delay=A_WHILE)
    user = open_window(model)
    user.send("Tell me a story.")
    until(lambda: len(user.written) > 10)
    assert user.window.composer.button.text() == "Stop"
    user.window.composer.button.click() if by == "button" else user.press(by)
    until(lambda: not user.is_replying)
    role, story, state = stored()[-1]
    assert (role, state) == ("assistant", "cut")
    assert STORY.startswith(story)
    assert 10 < len(story) < len(STORY)
    assert user.shown == [("user", "Tell me a story."), ("reply", story), ("note", "(cut)")]
    assert user.window.composer.button.text() == "Send"
    user.ask("Thank you.")
    assert user.shown[3:] == [("user", "Thank you."), ("reply", "Halo!")]


def test_a_reply_stopped_before_it_began_gives_the_message_back(open_window) -> None:
    stopped = threading.Event()

    class Hesitant(ScriptedEngine):
        def submit(self, request: Request) -> Any:
            assert stopped.wait(30)
            return super().submit(request)

    user = open_window(lambda on_progress: SeaLLM.from_engine(Hesitant(["Halo!"])))
    user.send("Tell me a story.")
    user.window.stop()
    stopped.set()
    until(lambda: not user.is_replying)
    assert (user.shown, user.window.input.toPlainText(), stored()) == ([], "Tell me a story.", [])


def test_retry_gives_another_reply_and_keeps_the_first_as_a_branch(open_window) -> None:
    _, model = scripted("Halo!", "Selamat pagi!", EngineError("llama.cpp failed"))
    user = open_window(model)
    user.ask("Hello.")
    user.press("R", "ControlModifier")
    until(lambda: not user.is_replying)
    again = [("user", "Hello."), ("reply", "Selamat pagi!")]
    assert user.shown == again
    user.window.composer.retry.click()
    until(lambda: len(user.shown) == 3)
    assert user.shown == [*again, ("error", "llama.cpp failed")]
    with History() as history:
        contents = [one.content for one in history.tree(history.conversations()[0].id).messages]
    assert contents == ["Hello.", "Halo!", "Selamat pagi!"]


def test_enter_waits_for_the_reply_and_shift_enter_begins_a_line(open_window) -> None:
    _, model = scripted("Halo! " * 20, delay=A_WHILE)
    user = open_window(model)
    user.send("one")
    user.send("two")
    user.press("Return", "ShiftModifier")
    assert user.is_replying
    assert [kind for kind, _ in user.shown] == ["user", "reply"]
    assert sorted(user.window.input.toPlainText()) == sorted("two\n")


def test_an_error_is_shown_with_its_hint_and_the_next_question_works(open_window) -> None:
    _, model = scripted(EngineError("llama.cpp failed", "close other programs"), RuntimeError("a bug"), "Halo!")
    user = open_window(model)
    for error in ("llama.cpp failed\n  close other programs", "a bug"):
        user.send("Say hello.")
        until(lambda error=error: user.shown == [("error", error)])
        assert user.window.input.toPlainText() == "Say hello."
    user.ask("Say hello.")
    assert user.shown[-2:] == [("user", "Say hello."), ("reply", "Halo!")]
    assert stored() == [("user", "Say hello.", "complete"), ("assistant", "Halo!", "complete")]


def test_what_is_too_long_is_told_and_comes_back_to_be_shortened(open_window) -> None:
    _, model = scripted("Halo!", n_ctx=200)
    user = open_window(model)
    long = ("rice and fish " * 40).strip()
    user.send(long)
    until(lambda: [kind for kind, _ in user.shown] == ["error"])
    assert "but the context holds 200" in user.shown[0][1]
    assert (user.window.input.toPlainText(), stored()) == (long, [])


def test_turns_that_leave_the_context_are_told_above_the_reply(open_window) -> None:
    _, model = scripted("Halo! " * 10, "Baik.", n_ctx=400)
    user = open_window(model)
    user.ask("rice " * 30)
    user.ask("fish " * 20)
    assert [kind for kind, _ in user.shown] == ["user", "reply", "user", "note", "reply"]
    assert user.shown[3] == ("note", "(the oldest turn left the context)")


def test_a_model_that_is_not_there_is_told(open_window) -> None:
    user = open_window(lambda **options: SeaLLM("seallms-v3-1.5b-caht", **options))
    until(lambda: user.window.status.text() == "No model")
    ((kind, text),) = user.shown
    assert (kind, text.splitlines()[-1]) == ("error", "  see them all: seallm models")
    user.send("Hello?")
    assert not user.window.composer.button.isEnabled()
    assert len(user.shown) == 1


def test_the_page_follows_what_is_written_unless_its_reader_has_scrolled_up(open_window) -> None:
    _, model = scripted("line\n" * 200, "line\n" * 20)
    user = open_window(model)
    bar = user.window.page.verticalScrollBar()
    user.send("Write lines.")
    until(lambda: bar.maximum() > 1000 and bar.value() == bar.maximum())
    until(lambda: not user.is_replying)
    bar.setValue(100)
    user.window.talk.failed.emit("something happened")
    end = bar.maximum()
    until(lambda: bar.maximum() > end)
    assert bar.value() == 100
    user.send("Write more.")
    until(lambda: bar.value() == bar.maximum() > end)


def test_closing_while_a_reply_is_written_ends_it_and_stores_what_was_shown(open_window) -> None:
    engine, model = scripted(GREETINGS["Burmese"] * 50, delay=A_WHILE)
    before = threading.active_count()
    user = open_window(model)
    user.send("Tell me a story.")
    until(lambda: user.written)
    shown = user.written
    user.window.close()
    with pytest.raises(EngineError, match="this model is closed"), engine.vocabulary():
        pass
    until(lambda: threading.active_count() == before)
    assert not user.window.isVisible()
    (_, content, state) = stored()[-1]
    assert (content.startswith(shown), state) == (True, "cut")


def test_closing_while_the_model_loads_ends_the_loading(open_window) -> None:
    shares = []

    def model(on_progress: Callable[[float], None]) -> None:
        for percent in range(100):
            shares.append(percent)
            on_progress(percent / 100)
            time.sleep(0.05)

    user = open_window(model, is_awaited=False)
    until(lambda: user.window.status.text() == "Loading 2%")
    user.window.close()
    assert shares[-1] < 99


def test_the_parts_of_the_example_are_short(desktop: ModuleType) -> None:
    from support.desktop_window import EXAMPLES

    lengths = {path.name: len(path.read_text("utf-8").splitlines()) for path in EXAMPLES.glob("desktop*.py")}
    assert {name: n for name, n in lengths.items() if n > 300} == {}
