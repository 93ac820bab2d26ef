"""Commands of the chat screen over stored conversations: their output, and where the conversation stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from seallm_edge import EngineError, ScriptedEngine, SeaLLM
from seallm_edge.chat import ContextBudget, Conversation, History
from seallm_edge.errors import HistoryUnavailable
from seallm_edge.terminal import Screen

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def history(tmp_path: Path):
    with History(tmp_path / "history.sqlite") as opened:
        yield opened


def typed(*lines: str) -> Callable[[], str | None]:
    waiting = iter(lines)
    return lambda: next(waiting, None)


def talk(history: History, *replies: str, **options: object) -> Conversation:
    return Conversation(SeaLLM.from_engine(ScriptedEngine(replies)), history=history, **options)


def run(conversation: Conversation, capsys: Captured, *lines: str) -> tuple[list[str], list[str]]:
    """(lines on stdout without the heading, lines on stderr)."""
    Screen(conversation).run(typed(*lines))
    out, err = capsys.readouterr()
    return out.splitlines()[1:], err.splitlines()


def test_sessions_are_listed_and_resumed_by_their_number(history: History, capsys: Captured) -> None:
    run(talk(history, "ภาษาไทย"), capsys, "สวัสดี")
    conversation = talk(history, "Halo!", "Baik.")
    out, err = run(conversation, capsys, "Hi", "/sessions", "/resume 2", "Lagi")
    first, second = history.named("สวัสดี"), history.named("Hi")
    assert first
    assert second
    assert [line[:15] for line in out[1:3]] == [f" 1* {second.id} ", f" 2  {first.id} "]
    assert out[3:] == ["› สวัสดี", "ภาษาไทย", "Baik."]
    assert err == []
    assert [one.content for one in history.path(history.conversation(first.id).leaf or 0)] == [
        "สวัสดี", "ภาษาไทย", "Lagi", "Baik.",
    ]  # fmt: skip


def test_resuming_an_unknown_one_says_so_and_the_chat_goes_on(history: History, capsys: Captured) -> None:
    out, err = run(talk(history, "Halo!"), capsys, "/resume 7", "Hi")
    assert (out, err) == (["Halo!"], ["no conversation has the title or id '7'", "  see them all: seallm sessions"])


def test_a_title_given_before_the_first_message_is_stored_with_it(history: History, capsys: Captured) -> None:
    _, err = run(talk(history, "Halo!"), capsys, "/rename Ibu kota", "Hi")
    assert err == ["(this conversation is now 'Ibu kota')"]
    assert [one.title for one in history.conversations()] == ["Ibu kota"]
    run(Conversation.resume(talk(history).llm, history, history.conversations()[0].id), capsys, "/rename Lain")
    assert [one.title for one in history.conversations()] == ["Lain"]


def test_edit_undo_and_branch_change_the_branch(history: History, capsys: Captured) -> None:
    conversation = talk(history, "Satu", "Dua", "Tiga")
    out, err = run(
        conversation, capsys, "Hi", "/retry", "/branch", "/branch 1", "/edit Hello", "/undo", "/branch", "/undo"
    )
    assert out == [
        "Satu", "Dua", " 1  Satu", " 2* Dua", "› Hi", "Satu", "Tiga", " 1  Satu", " 2  Dua", " 3  Tiga",
    ]  # fmt: skip
    assert err == ["(taken back: Hello)", "nothing to take back"]
    assert conversation.messages == []


def test_continue_extends_the_last_answer(history: History, capsys: Captured) -> None:
    conversation = talk(history, "Satu", " dua")
    assert run(conversation, capsys, "/continue", "Hi", "/continue") == (
        ["Satu", " dua"],
        ["there is no reply to continue", "  say something"],
    )
    assert [one.content for one in conversation.messages] == ["Hi", "Satu dua"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/edit", ["there is no text in place of your last message", "  /edit TEXT"]),
        ("/branch 5", ["no branch has the number 5", "  there are 1: /branch lists them"]),
        ("/branch ²", ["no branch has the number ²", "  there are 1: /branch lists them"]),
        ("/resume ²", ["no conversation has the title or id '²'", "  see them all: seallm sessions"]),
        ("/rename", ["there is no title", "  /rename TITLE"]),
        ("/file ~nosuch/a.txt", ["a.txt: cannot be read: there is no such file"]),
        ("/export ~nosuch/a.md", ["no such file or directory: ~nosuch/a.md"]),
        ("/export notes.pdf", ["no format for 'notes.pdf'", "  give a name that ends in .md, .txt or .json"]),
        ("/search mangosteen", ["no message holds 'mangosteen'"]),
    ],
)
def test_wrong_arguments_name_the_right_ones(history: History, capsys: Captured, line: str, said: list[str]) -> None:
    assert run(talk(history, "Halo!"), capsys, "Hi", line)[1] == said


def test_an_export_goes_to_a_file_that_is_not_there_yet(history: History, capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "bincang.md"
    _, err = run(talk(history, "Halo!"), capsys, "Hi", f"/export {path}", f"/export {path}")
    assert err == [f"(written to {path})", f"{path} exists already", "  give another name"]
    assert path.read_text(encoding="utf-8").endswith("## User\n\nHi\n\n## Assistant\n\nHalo!\n")


def test_search_finds_messages_of_all_conversations(history: History, capsys: Captured) -> None:
    run(talk(history, "ಬ"), capsys, "வணக்கம் உலகம்")
    out, _ = run(talk(history, "Halo!"), capsys, "/search உலகம்")
    stored = history.conversations()[0]
    assert len(out) == 1
    assert out[0].startswith(f"{stored.id}  ")
    assert out[0].endswith("user: வணக்கம் உலகம்")


def test_context_shows_what_left_it(history: History, capsys: Captured) -> None:
    llm = SeaLLM.from_engine(ScriptedEngine(["one " * 40, "two " * 20, "three"], n_ctx=340))
    conversation = Conversation(llm, history=history, budget=ContextBudget(reply_tokens=40))
    out, err = run(conversation, capsys, "a", "b", "c", "/context")
    assert err == ["(the oldest turn left the context)"]
    assert out[-7:-1] == [
        "user            1 tokens        1 characters  a  (left the context)",
        f"assistant     160 tokens      160 characters  {('one ' * 20)[:39]}…  (left the context)",
        "user            1 tokens        1 characters  b",
        f"assistant      80 tokens       80 characters  {('two ' * 20)[:39]}…",
        "user            1 tokens        1 characters  c",
        "assistant       5 tokens        5 characters  three",
    ]
    assert out[-1] == "165 of 340 tokens of context, 49%, chat markup included"  # the last reply is not closed


def test_a_document_goes_with_the_next_message(history: History, capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "menu.txt").write_bytes("ข้าวผัด ๔๐ บาท\n".encode("tis-620"))
    conversation = talk(history, "๔๐ บาท", "Halo!")
    out, err = run(conversation, capsys, f"/file {tmp_path / 'menu.txt'}", "ข้าวผัดราคาเท่าไร", "Hi")
    assert out == ["๔๐ บาท", "Halo!"]
    assert len(err) == 1
    assert err[0].startswith("(menu.txt: ")
    assert err[0].endswith(" tokens of the context remain)")
    assert conversation.messages[0].content == "Document menu.txt:\n```\nข้าวผัด ๔๐ บาท\n```\n\nข้าวผัดราคาเท่าไร"
    assert conversation.messages[2].content == "Hi"


@pytest.mark.parametrize(("answer", "is_sent"), [("y", True), ("n", False), ("", False)])
def test_of_a_document_that_is_too_long_the_beginning_is_offered(
    history: History, capsys: Captured, tmp_path: Path, answer: str, is_sent: bool
) -> None:
    (tmp_path / "long.txt").write_text("word\n" * 200, encoding="utf-8")
    llm = SeaLLM.from_engine(ScriptedEngine(["Halo!"], n_ctx=500))
    conversation = Conversation(llm, history=history)
    _, err = run(conversation, capsys, f"/file {tmp_path / 'long.txt'}", answer, "Summarize it.")
    assert err[0].startswith("long.txt is too long: ")
    assert err[0].endswith(" of 1,000 characters fit in the context of 500 tokens")
    assert err[1] == "send its beginning (y), read all of it in parts (p: about 7), or neither (n)? "
    assert ("word" in conversation.messages[0].content) == is_sent
    assert conversation.messages[0].content.endswith("Summarize it.")


def test_documents_of_a_refused_message_wait_for_the_next(history: History, capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mangosteen", encoding="utf-8")
    llm = SeaLLM.from_engine(ScriptedEngine([EngineError("out of memory"), "Halo!"]))
    conversation = Conversation(llm, history=history)
    run(conversation, capsys, f"/file {tmp_path / 'a.txt'}", "Hi", "Hi")
    assert "mangosteen" in conversation.messages[0].content


def test_an_uncertain_encoding_is_asked_for(history: History, capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes("你好".encode("gb18030"))
    out, err = run(talk(history), capsys, f"/file {tmp_path / 'x.txt'}")
    assert err == [
        "x.txt may be in one of these encodings:", f"  choose one: /file {tmp_path / 'x.txt'} --encoding NAME",
    ]  # fmt: skip
    assert "GB18030       你好" in out
    conversation = talk(history, "Halo!")
    run(conversation, capsys, f"/file {tmp_path / 'x.txt'} --encoding GB18030", "Hi")
    assert "你好" in conversation.messages[0].content


def test_a_file_that_is_no_document_is_told(history: History, capsys: Captured, tmp_path: Path) -> None:
    _, err = run(talk(history), capsys, f"/file {tmp_path}")
    assert len(err) == 2
    assert "folder" in err[0]


def test_a_document_can_be_dropped_again(history: History, capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mangosteen", encoding="utf-8")
    conversation = talk(history, "Halo!")
    _, err = run(conversation, capsys, f"/file {tmp_path / 'a.txt'}", "/file", "Hi")
    assert err[1:] == ["(no document goes with your next message)"]
    assert conversation.messages[0].content == "Hi"


def test_a_document_waits_through_a_retry(history: History, capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mangosteen", encoding="utf-8")
    conversation = talk(history, "Satu", "Dua", "Tiga")
    run(conversation, capsys, "Hi", f"/file {tmp_path / 'a.txt'}", "/retry", "What is it?")
    assert [("mangosteen" in one.content) for one in conversation.messages] == [False, False, True, False]


def test_personas_are_listed_with_one_that_is_damaged(history: History, capsys: Captured, home: Path) -> None:
    (home / "personas").mkdir()
    (home / "personas" / "bad.toml").write_text("x = 1", encoding="utf-8")
    out, err = run(talk(history), capsys, "/persona")
    assert out[0] == "bad         (bad.toml has no system message)"
    assert (len(out), err) == (13, [])


def test_ctrl_c_in_a_command_ends_the_command(
    history: History, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Conversation) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Conversation, "context", interrupted)
    assert run(talk(history, "Halo!"), capsys, "/context", "Hi") == (["Halo!"], ["(stopped)"])


def test_a_full_disk_is_told_with_its_cure_and_the_chat_goes_on(
    history: History, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: History, *arguments: object, **options: object) -> None:
        raise HistoryUnavailable("history.sqlite cannot grow: its disk is full", "free some disk space")

    create = History.create
    monkeypatch.setattr(History, "create", lambda self, *given: full(self) if self.file else create(self, *given))
    out, err = run(talk(history, "Satu"), capsys, "Hi")
    assert out == ["Satu"]
    assert err == [
        "(this conversation is not saved for now: history.sqlite cannot grow: its disk is full)",
        "  free some disk space; /export writes the conversation to a file",
        "(not all of this chat could be saved)",
    ]
