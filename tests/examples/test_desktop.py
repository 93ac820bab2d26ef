"""The desktop example without a screen: over scripted replies, and over the demo model."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seallm_edge import EngineError, Message, Request, ScriptedEngine, SeaLLM

DEMO = "smollm2-135m-instruct"
DESKTOP = Path(__file__).parents[2] / "examples" / "desktop.py"
GREETINGS = {
    "Thai": "สวัสดีครับ วันนี้อากาศดีมาก ผมพร้อมคุยกับคุณแล้วครับ",
    "Khmer": "សួស្តី! ថ្ងៃនេះអាកាសធាតុល្អណាស់។ តើអ្នកសុខសប្បាយទេ?",
    "Burmese": "မင်္ဂလာပါ။ ဒီနေ့ ရာသီဥတု သာယာပါတယ်။ နေကောင်းပါသလား။",
    "Lao": "ສະບາຍດີ! ມື້ນີ້ອາກາດດີຫຼາຍ. ເຈົ້າສະບາຍດີບໍ?",
}
A_WHILE = 0.003  # seconds a byte: these greetings take about half a second then


@pytest.fixture(scope="module")
def desktop() -> Iterator[ModuleType]:
    """The example, with an application that has no screen; skipped where Qt cannot be loaded."""
    pytest.importorskip(
        "PySide6.QtWidgets",
        reason="Qt cannot be loaded: pip install PySide6-Essentials; on Debian also libegl1 libgl1 libxkbcommon0 "
        "libfontconfig1 libdbus-1-3 libglib2.0-0",
        exc_type=ImportError,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QT_QPA_PLATFORM", "offscreen")
        spec = importlib.util.spec_from_file_location("desktop", DESKTOP)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        application = module.QtWidgets.QApplication.instance() or module.QtWidgets.QApplication([])
        yield module
        application.processEvents()


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Let events come until `condition` holds."""
    from PySide6.QtTest import QTest

    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end, "it never came"
        QTest.qWait(5)


@pytest.fixture
def open_window(desktop: ModuleType) -> Iterator[Callable[..., Any]]:
    """Opens a window on a model, and waits for it to be ready; closes it in the end."""
    windows = []

    def opened(model: Callable[..., SeaLLM]) -> Any:
        windows.append(desktop.ChatWindow(model))
        windows[-1].show()
        until(lambda: windows[-1].status.text() and not windows[-1].status.text().startswith("Loading"))
        return windows[-1]

    yield opened
    for window in windows:
        window.close()


def scripted(*replies: Any, **options: Any) -> tuple[ScriptedEngine, Callable[..., SeaLLM]]:
    engine = ScriptedEngine(replies, **options)
    return engine, lambda on_progress: SeaLLM.from_engine(engine)


def press(window: Any, key: str, modifier: str = "NoModifier") -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    QTest.keyClick(window.input, getattr(Qt.Key, f"Key_{key}"), getattr(Qt.KeyboardModifier, modifier))


def send(window: Any, text: str) -> None:
    window.input.setPlainText(text)
    press(window, "Return")


def shown(window: Any) -> list[tuple[str, str]]:
    """(kind, text) of all that the page shows."""
    rows = (window.page.itemAt(i).layout() for i in range(window.page.count() - 1))
    texts = [row.itemAt(row.count() - 1).widget() for row in rows]
    return [(text.objectName(), text.toPlainText()) for text in texts]


def written(window: Any) -> str:
    return window.reply.toPlainText() if window.reply else ""


def test_replies_arrive_whole_and_the_conversation_goes_on(open_window) -> None:
    engine, model = scripted(*GREETINGS.values())
    window = open_window(model)
    for language in GREETINGS:
        send(window, f"Say hello in {language}.")
        until(lambda: window.reply is None)
    expected = [
        pair for name, text in GREETINGS.items() for pair in (("user", f"Say hello in {name}."), ("reply", text))
    ]
    assert shown(window) == expected
    roles = {"user": "user", "reply": "assistant"}
    assert window.messages == [Message(roles[kind], text) for kind, text in expected]
    assert [text in engine.prompts[-1] for text in GREETINGS.values()] == [True, True, True, False]


def test_a_reply_is_given_back_as_the_model_wrote_it(open_window) -> None:
    text = "a\u00a0b\u2028c\td  \n\n"
    _, model = scripted(text)
    window = open_window(model)
    send(window, "Say something strange.")
    until(lambda: window.reply is None)
    assert window.messages[-1].content == text


def test_text_is_not_taken_for_markup(open_window) -> None:
    _, model = scripted("<b>x</b> &amp; **y**")
    window = open_window(model)
    send(window, "<i>is</i> this shown?")
    until(lambda: window.reply is None)
    assert shown(window) == [("user", "<i>is</i> this shown?"), ("reply", "<b>x</b> &amp; **y**")]


def test_the_window_answers_while_a_reply_comes(desktop: ModuleType, open_window) -> None:
    from PySide6.QtCore import QTimer
    from PySide6.QtTest import QTest

    _, model = scripted(GREETINGS["Khmer"], delay=A_WHILE)
    window = open_window(model)
    ticks: list[str] = []
    timer = QTimer(interval=1)
    timer.timeout.connect(lambda: ticks.append(written(window)))
    timer.start()
    send(window, "Say hello.")
    until(lambda: written(window))
    QTest.keyClicks(window.input, "next")
    window.resize(420, 500)
    assert written(window) != GREETINGS["Khmer"]
    assert window.input.toPlainText() == "next"
    until(lambda: window.reply is None)
    assert len(set(ticks)) > len(GREETINGS["Khmer"]) / 4  # it was there between the pieces


@pytest.mark.parametrize("by", ["button", "Escape"])
def test_stop_ends_the_reply_and_keeps_what_was_written(open_window, by: str) -> None:
    _, model = scripted(GREETINGS["Thai"] * 50, "Halo!", delay=A_WHILE)
    window = open_window(model)
    send(window, "Tell me a story.")
    until(lambda: len(written(window)) > 10)
    assert window.button.text() == "Stop"
    window.button.click() if by == "button" else press(window, by)
    until(lambda: window.reply is None, seconds=5)
    assert window.talk._stream.reply.finish_reason == "cancelled"
    story = window.messages[-1].content
    assert (GREETINGS["Thai"] * 50).startswith(story)
    assert 10 < len(story) < len(GREETINGS["Thai"] * 50)
    assert window.button.text() == "Send"
    send(window, "Thank you.")
    until(lambda: window.reply is None)
    assert shown(window)[1:] == [("reply", story), ("user", "Thank you."), ("reply", "Halo!")]


def test_a_reply_stopped_before_it_began_leaves_the_conversation_as_it_was(open_window) -> None:
    stopped = threading.Event()

    class Hesitant(ScriptedEngine):
        def submit(self, request: Request) -> Any:
            assert stopped.wait(30)
            return super().submit(request)

    window = open_window(lambda on_progress: SeaLLM.from_engine(Hesitant(["Halo!"])))
    send(window, "Tell me a story.")
    window.stop()
    stopped.set()
    until(lambda: window.reply is None)
    assert window.messages == []


def test_enter_waits_for_the_reply_and_shift_enter_begins_a_line(open_window) -> None:
    _, model = scripted("Halo! " * 20, delay=A_WHILE)
    window = open_window(model)
    send(window, "one")
    send(window, "two")
    press(window, "Return", "ShiftModifier")
    assert window.reply is not None
    assert [kind for kind, _ in shown(window)] == ["user", "reply"]
    assert sorted(window.input.toPlainText()) == sorted("two\n")


def test_an_error_is_shown_and_the_next_question_works(open_window) -> None:
    _, model = scripted(EngineError("llama.cpp failed", "close other programs"), RuntimeError("a bug"), "Halo!")
    window = open_window(model)
    for _ in range(3):
        send(window, "Say hello.")
        until(lambda: window.reply is None)
    errors = [text for kind, text in shown(window) if kind == "error"]
    assert errors == ["llama.cpp failed\n  close other programs", "a bug"]
    assert window.messages == [Message("user", "Say hello."), Message("assistant", "Halo!")]


def test_what_is_too_long_is_told_and_is_no_part_of_the_conversation(open_window) -> None:
    _, model = scripted("Halo!", n_ctx=200)
    window = open_window(model)
    send(window, "rice and fish " * 40)
    until(lambda: window.reply is None)
    assert "but the context holds 200" in shown(window)[-1][1]
    assert window.messages == []


def test_a_model_that_is_not_there_is_told(open_window) -> None:
    window = open_window(lambda **options: SeaLLM("seallms-v3-1.5b-caht", **options))
    ((kind, text),) = shown(window)
    assert (kind, text.splitlines()[-1]) == ("error", "  see them all: seallm models")
    send(window, "Hello?")
    assert not window.button.isEnabled()
    assert len(shown(window)) == 1


def test_the_page_follows_what_is_written_unless_its_reader_has_scrolled_up(open_window) -> None:
    _, model = scripted("line\n" * 200, "line\n" * 20)
    window = open_window(model)
    bar = window.scroll.verticalScrollBar()
    send(window, "Write lines.")
    until(lambda: bar.maximum() > 1000 and bar.value() == bar.maximum())
    bar.setValue(100)
    window.talk.idle.emit("something happened")
    end = bar.maximum()
    until(lambda: bar.maximum() > end)
    assert bar.value() == 100
    send(window, "Write more.")
    until(lambda: bar.value() == bar.maximum() > end)


def test_closing_while_a_reply_is_written_ends_its_thread_and_the_model(open_window) -> None:
    engine, model = scripted(GREETINGS["Burmese"] * 50, delay=A_WHILE)
    before = threading.active_count()
    window = open_window(model)
    send(window, "Tell me a story.")
    until(lambda: written(window))
    window.close()
    with pytest.raises(EngineError, match="this model is closed"), engine.vocabulary():
        pass
    until(lambda: threading.active_count() == before, seconds=5)
    assert not window.isVisible()


def test_closing_while_the_model_loads_ends_the_loading(desktop: ModuleType) -> None:
    shares = []

    def model(on_progress: Callable[[float], None]) -> None:
        for percent in range(100):
            shares.append(percent)
            on_progress(percent / 100)
            time.sleep(0.05)

    window = desktop.ChatWindow(model)
    window.show()
    until(lambda: window.status.text() == "Loading 2%")
    window.close()
    assert shares[-1] < 99


@pytest.mark.slow
def test_it_talks_with_a_real_model_and_stays_awake(open_window) -> None:
    from PySide6.QtCore import QTimer

    window = open_window(lambda **options: SeaLLM(DEMO, context=2048, **options))
    ticks: list[str] = []
    timer = QTimer(interval=1)
    timer.timeout.connect(lambda: ticks.append(written(window)))
    timer.start()
    send(window, "Tell me about rice.")
    until(lambda: len(written(window)) > 60)
    window.button.click()
    until(lambda: window.reply is None)
    assert window.messages[-1].content == window.talk._stream.reply.text
    assert window.talk._stream.reply.finish_reason == "cancelled"
    assert len(set(ticks)) > 5
    send(window, "What is the capital of Japan?")
    until(lambda: window.reply is None)
    assert [message.role for message in window.messages] == ["user", "assistant"] * 2


ENDINGS = {
    "in a reply": "window.reply and window.reply.toPlainText()",
    "while the model loads": "window.status.text() != 'Loading'",
    "when nothing is to be done": "len(window.messages) == 2",
}


@pytest.mark.slow
@pytest.mark.usefixtures("desktop")
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_program_whose_window_is_closed_ends_soon_and_cleanly(ending: str) -> None:
    code = f"""
    import sys
    sys.path.insert(0, {str(DESKTOP.parent)!r})
    import desktop
    from desktop import QtWidgets, SeaLLM
    from PySide6.QtCore import QTimer
    application = QtWidgets.QApplication([])
    window = desktop.ChatWindow(lambda **options: SeaLLM({DEMO!r}, context=1024, **options))
    window.show()

    def look():
        if {ending}:
            window.close()
        elif window.button.isEnabled() and not window.messages:
            window.input.setPlainText("What is the capital of Japan?")
            window.send()

    timer = QTimer(interval=1)
    timer.timeout.connect(look)
    timer.start()
    sys.exit(application.exec())
    """
    environment = {"QT_QPA_PLATFORM": "offscreen", "QT_LOGGING_RULES": "*=false"}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
