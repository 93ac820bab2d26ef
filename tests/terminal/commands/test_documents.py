"""Documents of messages: mentions, and long ones that are read in parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from seallm_edge import EngineError
from seallm_edge.chat import History
from support.chat_screens import run, talk

Captured = pytest.CaptureFixture[str]
N_CTX = 1000
COST = "({}: {} parts; {} tokens to read and up to {} to write before the answer)"
STOP_HINT = "(Ctrl-C answers from the parts read so far)"


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    path = tmp_path / "long.txt"
    path.write_text("word\n" * 250, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("menu.txt", "@{folder}/menu.txt berapa harganya?"),
        ("menu.txt", "Lihat @{folder}/menu.txt."),
        ("my menu.txt", 'Lihat @"{folder}/my menu.txt"'),
    ],
)
def test_a_mentioned_document_goes_with_the_message(tmp_path: Path, capsys: Captured, name: str, message: str) -> None:
    (tmp_path / name).write_text("nasi 40 baht\n", encoding="utf-8")
    conversation = talk(History.in_memory(), "40 baht", "Halo!")
    said = message.format(folder=tmp_path)
    out, err = run(conversation, capsys, said, "Hi")
    assert out == ["40 baht", "Halo!"]
    assert err[0].startswith(f"({name}: ")
    assert [one.content for one in conversation.messages[::2]] == [
        f"Document {name}:\n```\nnasi 40 baht\n```\n\n{said}", "Hi",
    ]  # fmt: skip


def test_a_name_that_is_no_file_is_plain_text(capsys: Captured, tmp_path: Path) -> None:
    lines = ("@budi apa kabar?", f"ali{'@'}{tmp_path}", "@", f"@{'x' * 5000}", f"@{tmp_path}")
    conversation = talk(History.in_memory(), *["Halo!"] * 5)
    assert run(conversation, capsys, *lines) == (["Halo!"] * 5, [])
    assert [one.content for one in conversation.messages[::2]] == [*lines]


def test_a_message_with_a_refused_document_is_not_sent(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("good", encoding="utf-8")
    (tmp_path / "empty.txt").write_bytes(b"")
    conversation = talk(History.in_memory(), "Halo!")
    _, err = run(conversation, capsys, f"@{tmp_path}/good.txt @{tmp_path}/empty.txt", "Hi")
    assert err[1:] == ["empty.txt: is empty"]
    assert [one.content for one in conversation.messages] == ["Hi", "Halo!"]


def test_a_mentioned_document_of_uncertain_encoding_is_explained_then_sent(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes("你好".encode("gb18030"))
    conversation = talk(History.in_memory(), "Halo!")
    _, err = run(conversation, capsys, f"@{path}", f"/file {path} --encoding GB18030", f"@{path}")
    assert err[:3] == [
        "x.txt may be in one of these encodings:",
        f"  choose one: /file {path} --encoding NAME",
        "(the message was not sent)",
    ]
    assert conversation.messages[0].content == f"Document x.txt:\n```\n你好\n```\n\n@{path}"


def test_a_long_document_is_read_in_parts_before_the_answer(capsys: Captured, long_file: Path) -> None:
    conversation = talk(History.in_memory(), "a", "b", " ", "The end.", n_ctx=N_CTX)
    out, err = run(conversation, capsys, f"/file {long_file}", "p", "What is it?")
    assert err[1:] == [
        "send its beginning (y), read all of it in parts (p: about 3), or neither (n)? ",
        "(long.txt: your message is put to each part)",
        COST.format("long.txt", 3, "2,117", 375),
        STOP_HINT, "(part 1 of 3)", "(part 2 of 3)", "(part 3 of 3)",
    ]  # fmt: skip
    assert out == ["The end."]
    assert [one.content for one in conversation.messages] == [
        "Document long.txt, read in 3 parts; notes on each:\n\nPart 1: a\n\nPart 2: b\n\nPart 3: -\n\nWhat is it?",
        "The end.",
    ]


def test_so_is_a_mentioned_one(capsys: Captured, long_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(long_file.parent)
    conversation = talk(History.in_memory(), "a", "b", "c", "The end.", n_ctx=N_CTX)
    out, err = run(conversation, capsys, "@long.txt what is it?", "p")
    assert (out, err[-1]) == (["The end."], "(part 3 of 3)")
    assert conversation.messages[0].content == (
        "Document long.txt, read in 3 parts; notes on each:\n\nPart 1: a\n\nPart 2: b\n\nPart 3: c\n\n"
        "@long.txt what is it?"
    )


def test_a_mentioned_one_that_is_declined_keeps_the_message_back(capsys: Captured, long_file: Path) -> None:
    conversation = talk(History.in_memory(), n_ctx=N_CTX)
    out, err = run(conversation, capsys, f"@{long_file} what is it?", "n")
    assert (out, err[-1], conversation.messages) == ([], "(the message was not sent)", [])


def test_ctrl_c_answers_from_the_parts_read_so_far(capsys: Captured, long_file: Path) -> None:
    conversation = talk(History.in_memory(), "a", "b", "The end.", n_ctx=N_CTX)
    stream = conversation.llm.stream

    def interrupted(*given: object, **options: object):  # type: ignore[no-untyped-def]
        try:
            return stream(*given, **options)
        finally:
            if "part 2 of 3" in str(given):
                raise KeyboardInterrupt

    conversation.llm.stream = interrupted  # type: ignore[method-assign]
    out, err = run(conversation, capsys, f"/file {long_file}", "p", "What is it?")
    assert err[-3:] == ["(part 1 of 3)", "(part 2 of 3)", "(stopped: notes on 1 of 3 parts)"]
    assert out == ["The end."]
    assert conversation.messages[0].content == (
        "Document long.txt, of whose 3 parts these were read; notes on each:\n\nPart 1: a\n\nWhat is it?"
    )


def test_notes_of_a_refused_answer_are_not_taken_twice(capsys: Captured, long_file: Path) -> None:
    conversation = talk(
        History.in_memory(), "a", "b", "c", EngineError("out of memory"), "The end.", n_ctx=N_CTX
    )  # fmt: skip
    out, err = run(conversation, capsys, f"/file {long_file}", "p", "What is it?", "What is it?")
    assert (out, err[-1]) == (["The end."], "out of memory")
    assert conversation.messages[0].content.endswith("Part 1: a\n\nPart 2: b\n\nPart 3: c\n\nWhat is it?")
