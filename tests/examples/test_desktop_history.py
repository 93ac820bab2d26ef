"""The desktop example's list of conversations: kept over a restart, searched, renamed, removed, shared with others."""

from __future__ import annotations

import sqlite3
import threading
from types import ModuleType
from typing import Any

import pytest

from seallm_edge import ScriptedEngine, SeaLLM
from seallm_edge.chat import Conversation, History
from seallm_edge.paths import history_file
from support.desktop_window import Driver, scripted, until

A_WHILE = 0.003
TALK = ["rice", "Nasi.", "กุ้ง", "ข้าวผัดกุ้ง", "fish", "Ikan bakar."]


def talk(*texts: str) -> None:
    """Store a conversation for each two texts, a message and its reply, as the terminal chat does."""
    with History() as history:
        for question, answer in zip(texts[::2], texts[1::2], strict=True):
            list(Conversation(SeaLLM.from_engine(ScriptedEngine([answer])), history=history).say(question))


def blocked(event: threading.Event) -> Any:
    """What loads a model once `event` is set."""

    def model(on_progress: Any) -> SeaLLM:
        assert event.wait(60)
        return SeaLLM.from_engine(ScriptedEngine(["Halo!"]))

    return model


def answer_boxes(desktop: ModuleType, monkeypatch: pytest.MonkeyPatch, button: str) -> list[str]:
    """Texts of the questions that come, each answered by `button`."""
    asked: list[str] = []
    box = desktop.QtWidgets.QMessageBox

    def question(*arguments: Any) -> Any:
        asked.append(arguments[2])
        return getattr(box.StandardButton, button)

    monkeypatch.setattr(box, "question", question)
    return asked


def test_conversations_of_the_terminal_are_read_and_searched_while_the_model_loads(open_window) -> None:
    talk(*TALK)
    loaded = threading.Event()
    user = open_window(blocked(loaded), is_awaited=False)
    assert user.titles == ["fish", "กุ้ง", "rice"]
    user.click(1)
    assert user.shown == [("user", "กุ้ง"), ("reply", "ข้าวผัดกุ้ง")]
    user.search("nasi", ["rice"])
    user.search("", ["fish", "กุ้ง", "rice"])
    user.send("And fish?")
    assert (user.window.input.toPlainText(), len(user.shown)) == ("And fish?", 2)
    loaded.set()
    until(lambda: user.window.composer.button.isEnabled())
    user.ask("And fish?")
    assert user.shown == [("user", "กุ้ง"), ("reply", "ข้าวผัดกุ้ง"), ("user", "And fish?"), ("reply", "Halo!")]
    assert user.titles == ["กุ้ง", "fish", "rice"]


def test_a_conversation_goes_on_after_a_restart(open_window) -> None:
    _, model = scripted("Halo!")
    first = open_window(model)
    first.ask("Hello.")
    first.window.close()
    engine, model = scripted("Baik.")
    second = open_window(model)
    assert second.shown == []
    second.click(0)
    second.ask("Apa kabar?")
    assert "Halo!" in engine.prompts[0]
    assert second.shown == [("user", "Hello."), ("reply", "Halo!"), ("user", "Apa kabar?"), ("reply", "Baik.")]
    assert second.titles == ["Hello."]


def test_a_new_conversation_begins_with_the_next_message(open_window) -> None:
    engine, model = scripted("Halo!", "Baik.")
    user = open_window(model)
    user.ask("Hello.")
    user.press("N", "ControlModifier")
    assert (user.shown, user.titles) == ([], ["Hello."])
    user.ask("Apa kabar?")
    assert user.titles == ["Apa kabar?", "Hello."]
    assert "Halo!" not in engine.prompts[1]
    user.click(1)
    assert user.shown == [("user", "Hello."), ("reply", "Halo!")]


def test_another_conversation_can_be_read_while_a_reply_comes(open_window) -> None:
    talk(*TALK[:2])
    _, model = scripted("Selamat pagi! " * 20, "Baik.", delay=A_WHILE)
    user = open_window(model)
    user.send("Hello.")
    until(lambda: user.written)
    user.click(1)
    assert user.shown == [("user", "rice"), ("reply", "Nasi.")]
    assert user.window.composer.button.text() == "Stop"
    user.click(0)
    assert [kind for kind, _ in user.shown] == ["user", "reply"]
    user.click(1)
    until(lambda: not user.is_replying)
    assert user.shown == [("user", "rice"), ("reply", "Nasi.")]
    user.ask("And now?")
    assert user.shown[2:] == [("user", "And now?"), ("reply", "Baik.")]
    user.click(1)
    assert user.shown == [("user", "Hello."), ("reply", ("Selamat pagi! " * 20).strip())]


def test_a_search_finds_messages_and_titles_in_any_script(open_window) -> None:
    talk(*TALK)
    with History() as history:
        history.rename(history.conversations()[-1].id, "อาหาร")
    user = open_window(scripted()[1])
    assert user.titles == ["fish", "กุ้ง", "อาหาร"]
    user.search("ผัด", ["กุ้ง"])
    user.search("หาร", ["อาหาร"])
    user.search("IKAN", ["fish"])
    user.search("nothing like it", [])
    user.search("", ["fish", "กุ้ง", "อาหาร"])


def test_a_title_is_edited_in_its_place(desktop: ModuleType, open_window) -> None:
    from PySide6.QtTest import QTest

    talk(*TALK)
    user = open_window(scripted()[1])
    user.click(1)
    user.window.side.list.setFocus()
    user.press("F2", widget=user.window.side.list)
    editor = user.window.side.list.findChild(desktop.QtWidgets.QLineEdit)
    assert editor.text() == "กุ้ง"
    talk("soup", "Sup.")
    user.window._look()  # which leaves the editor
    editor.selectAll()
    QTest.keyClicks(editor, "shrimps")
    user.press("Return", widget=editor)
    until(lambda: user.titles == ["soup", "fish", "shrimps", "rice"])
    with History() as history:
        assert [one.title for one in history.conversations()] == user.titles
    user.window.side.list.item(2).setText(" ")
    until(lambda: user.titles == ["soup", "fish", "กุ้ง", "rice"])


@pytest.mark.parametrize(("button", "left"), [("Yes", ["fish", "rice"]), ("No", ["fish", "กุ้ง", "rice"])])
def test_a_conversation_is_removed_once_that_is_confirmed(
    desktop: ModuleType, open_window, monkeypatch: pytest.MonkeyPatch, button: str, left: list[str]
) -> None:
    talk(*TALK)
    asked = answer_boxes(desktop, monkeypatch, button)
    user = open_window(scripted()[1])
    user.click(1)
    user.window.side.list.setFocus()
    user.window.side.list.actions()[0].trigger()
    assert asked == ["Delete “กุ้ง” for good?"]
    assert user.titles == left
    assert len(user.shown) == (0 if button == "Yes" else 2)
    with History() as history:
        assert [one.title for one in history.conversations()] == left


def test_a_conversation_that_gets_a_reply_is_not_removed(
    desktop: ModuleType, open_window, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_boxes(desktop, monkeypatch, "Yes")
    user = open_window(scripted("Halo! " * 50, delay=A_WHILE)[1])
    user.send("Hello.")
    until(lambda: user.titles == ["Hello."])
    user.window.side.list.actions()[0].trigger()
    assert user.shown[-1] == ("error", "a reply is being written\n  stop it first")
    assert user.titles == ["Hello."]


def test_two_windows_and_a_terminal_share_a_history(open_window) -> None:
    left, right = (open_window(scripted("Halo!", "Baik.")[1]) for _ in range(2))
    left.ask("Hello.")
    until(lambda: right.titles == ["Hello."])
    right.click(0)
    right.ask("Apa kabar?")
    together = [("user", "Hello."), ("reply", "Halo!"), ("user", "Apa kabar?"), ("reply", "Halo!")]
    until(lambda: left.shown == together)
    left.ask("And you?")
    until(lambda: right.shown == [*together, ("user", "And you?"), ("reply", "Baik.")])
    talk("rice", "Nasi.")
    until(lambda: left.titles == right.titles == ["rice", "Hello."])


def test_the_prefill_of_another_program_is_not_disturbed(open_window) -> None:
    with History() as history:
        other = history.create()
        question = history.add_message(other, None, "user", "Hello.")
        reply = history.add_message(other, question, "assistant", "", state="streaming")
        user = open_window(scripted()[1])
        user.click(0)
        assert user.shown == [("user", "Hello.")]
        user.window.talk._thread.submit(int).result()
        history.append(reply, "Halo!")
        history.finish(reply, "Halo!")
        until(lambda: user.shown == [("user", "Hello."), ("reply", "Halo!")])


def test_a_message_without_an_answer_is_told_and_answered_by_retry(
    open_window, monkeypatch: pytest.MonkeyPatch
) -> None:
    with History() as history:
        killed = history.create()
        question = history.add_message(killed, None, "user", "Hello.")
        history.add_message(killed, question, "assistant", "", state="streaming")
    monkeypatch.setattr("desktop.PREFILL_SECONDS", 0)
    user = open_window(scripted("Halo!")[1])
    user.click(0)
    told = ("note", "(the last message has no answer yet: Hello.)\nRetry answers it")
    until(lambda: user.shown == [("user", "Hello."), told])
    user.window.retry()
    until(lambda: not user.is_replying)
    assert user.shown == [("user", "Hello."), ("reply", "Halo!")]


def test_retry_answers_a_message_whose_program_may_still_run(open_window) -> None:
    with History() as history:
        killed = history.create()
        question = history.add_message(killed, None, "user", "Hello.")
        history.add_message(killed, question, "assistant", "", state="streaming")
    user = open_window(scripted("Halo!")[1])
    user.click(0)
    user.window.retry()
    until(lambda: not user.is_replying)
    assert (user.shown[0], user.shown[-1]) == (("user", "Hello."), ("reply", "Halo!"))


def test_a_history_that_cannot_be_written_is_told_and_filled_in_later(open_window) -> None:
    user = open_window(scripted("Halo!", "Baik.")[1])
    user.ask("Hello.")
    lock = sqlite3.connect(history_file(), isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    user.ask("Apa kabar?")
    lock.execute("ROLLBACK")
    lock.close()
    (text,) = [text for kind, text in user.shown if kind == "note"]
    assert text.startswith(f"(this conversation is not saved for now: {history_file()} is in use by another program")
    assert text.endswith("\ntry again, or end the other program")
    assert user.shown[-1] == ("reply", "Baik.")
    user.window.close()
    with History() as history:
        messages = history.tree(history.conversations()[0].id).branch
    assert [one.content for one in messages] == ["Hello.", "Halo!", "Apa kabar?", "Baik."]


def test_a_history_that_cannot_be_read_is_told_once(open_window) -> None:
    history_file().write_text("no database, " * 100)
    user = open_window(scripted("Halo!")[1])
    user.window._look()
    assert user.shown == [
        ("error", f"{history_file()} is no SQLite file (file is not a database)\n  move it to another place")
    ]


def test_a_long_conversation_is_shown_from_its_newest_messages(desktop: ModuleType, open_window) -> None:
    with History() as history:
        long, last = history.create(), None
        for number in range(desktop.MAX_SHOWN + 20):
            last = history.add_message(long, last, "assistant" if number % 2 else "user", str(number))
    user: Driver = open_window(scripted()[1])
    user.click(0)
    assert [text for _, text in user.shown] == [str(number) for number in range(20, desktop.MAX_SHOWN + 20)]
