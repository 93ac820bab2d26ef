"""Keyboard input through prompt-toolkit, from a pipe that sends what terminals send."""

from __future__ import annotations

import stat
import sys
import threading
import unicodedata
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from seallm_edge import ScriptedEngine, SeaLLM
from seallm_edge.chat import Conversation, History
from seallm_edge.terminal import Screen
from seallm_edge.terminal.bindings import LEAVE_HINT
from seallm_edge.terminal.commands import Commands
from seallm_edge.terminal.completion import completer
from seallm_edge.terminal.keyboard import InputLine, input_history
from seallm_edge.terminal.typed_ahead import is_open, unquoted

LEFT, RIGHT, DELETE, BACKSPACE, ENTER = "\x1b[D", "\x1b[C", "\x1b[3~", "\x7f", "\r"
WORD_LEFT, CTRL_C, CTRL_D = "\x1b[1;5D", "\x03", "\x04"


def typed(keys: str, n_messages: int = 1, **options: object) -> list[str | None]:
    """Messages that the reader gives for these keys."""
    with create_pipe_input() as source, create_app_session(input=source, output=DummyOutput()):
        read = InputLine(**options).read
        sender = threading.Thread(target=source.send_text, args=(keys,))  # a pipe holds 64 KiB
        sender.start()
        messages = [read() for _ in range(n_messages)]
        sender.join()
        return messages


def paste(text: str) -> str:
    return f"\x1b[200~{text}\x1b[201~"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("น้ำ" + BACKSPACE, "น้"),
        ("ကို" + BACKSPACE, "ကိ"),
        ("a🇹🇭" + BACKSPACE, "a"),
        ("กน้ำ" + LEFT + "x", "กxน้ำ"),
        ("កម្ពុជា" + LEFT + LEFT + DELETE, "កជា"),
        ("one two" + WORD_LEFT + "x", "one xtwo"),
        ("ភាសា\u200bខ្មែរ", "ភាសា\u200bខ្មែរ"),
    ],
)
def test_editing_by_clusters_and_signs(keys: str, message: str) -> None:
    assert typed(keys + ENTER) == [message]


@pytest.mark.parametrize(
    ("burst", "message"),
    [  # an input method takes letters back and sends them with their signs, in one read
        ("vie" + BACKSPACE + "êt", "viêt"),
        ("duo" + BACKSPACE * 2 + "ươ" + "ng", "dương"),
        ("toi" + BACKSPACE * 2 + "ôi", "tôi"),
        (unicodedata.normalize("NFD", "tiếng") + BACKSPACE * 2 + "ng", unicodedata.normalize("NFD", "tiếng")),
    ],
)
def test_bursts_of_vietnamese_input_methods_come_out_right(burst: str, message: str) -> None:
    assert typed(burst + ENTER) == [message]


def test_a_paste_is_one_message_with_its_lines() -> None:
    lines = "\n".join(f"line {number} ทดสอบ" for number in range(200))
    assert typed(paste(lines) + ENTER) == [lines]
    assert typed(paste("x" * 1_000_000) + ENTER) == ["x" * 1_000_000]


def test_new_lines_by_keys_and_between_quotation_marks() -> None:
    assert typed("one\x1b\rtwo" + ENTER) == ["one\ntwo"]
    assert typed('"""' + ENTER + "one" + ENTER + "two" + ENTER + '"""' + ENTER) == ["one\ntwo"]


@pytest.mark.parametrize(
    ("text", "open_", "message"),
    [
        ('"""', True, '"""'),
        ('"""one', True, '"""one'),
        ('"""one"""', False, "one"),
        ('"""\none\n"""', False, "one"),
        ('""""""', False, ""),
        ('he said """x"""', False, 'he said """x"""'),
        ("one", False, "one"),
    ],
)
def test_quotation_marks_around_a_message(text: str, open_: bool, message: str) -> None:
    assert (is_open(text), unquoted(text)) == (open_, message)


def test_ctrl_c_clears_a_line_and_at_an_empty_prompt_hints_before_it_leaves(capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("one" + CTRL_C + "two" + ENTER) == ["two"]
    assert typed(CTRL_C + "two" + ENTER) == ["two"]
    assert LEAVE_HINT in capsys.readouterr().err
    with pytest.raises(KeyboardInterrupt):
        typed(CTRL_C + CTRL_C)
    assert typed(CTRL_C + "x" + CTRL_C + "y" + ENTER) == ["y"]


def test_ctrl_d_leaves() -> None:
    assert typed(CTRL_D) == [None]


def test_earlier_messages_are_kept_for_the_next_start(tmp_path: Path) -> None:
    assert typed("ສະບາຍດີ" + ENTER, history=tmp_path / "input-history") == ["ສະບາຍດີ"]
    assert list(input_history(tmp_path / "input-history").load_history_strings()) == ["ສະບາຍດີ"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_the_file_of_earlier_messages_is_private_and_has_no_long_pastes(tmp_path: Path) -> None:
    file = tmp_path / "new" / "input-history"
    typed(paste("x" * 10_001) + ENTER + "short" + ENTER, 2, history=file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "short" in file.read_text(encoding="utf-8")
    assert "xxx" not in file.read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_leaves_them_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    file = tmp_path / "file" / "input-history"
    assert typed("one" + ENTER, history=file) == ["one"]
    assert isinstance(input_history(file), InMemoryHistory)


def test_tab_completes_commands_conversations_personas_and_files(tmp_path: Path, home: Path) -> None:
    for name in ("notes.txt", "my notes.txt"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    with History(tmp_path / "history.sqlite") as history:
        history.create("Ibu kota")
        conversation = Conversation(SeaLLM.from_engine(ScriptedEngine([])), history=history)
        complete = completer(Commands(conversation, Screen(conversation)), conversation)
        assert complete

        def completed(text: str) -> list[str]:
            found = complete.get_completions(Document(text), CompleteEvent(completion_requested=True))
            return [text[: len(text) + one.start_position] + one.text for one in found]

        assert completed("/re") == ["/resume", "/rename", "/retry"]
        assert completed("/model smol") == ["/model smollm2-135m-instruct"]
        assert completed("/set t") == ["/set temperature", "/set top_p", "/set top_k"]
        assert completed("/set when_full ") == ["/set when_full drop", "/set when_full stop"]
        assert completed("/lang k") == ["/lang km"]
        assert completed("/copy ") == ["/copy code"]
        assert completed("/resume ib") == ["/resume Ibu kota"]
        assert completed("/persona t") == ["/persona th", "/persona tl", "/persona ta"]
        assert completed(f"/file {tmp_path}/no") == [f"/file {tmp_path}/notes.txt"]
        assert completed(f"read @{tmp_path}/no") == [f"read @{tmp_path}/notes.txt"]
        assert completed(f"@{tmp_path}/my") == [f'@"{tmp_path}/my notes.txt']
        assert completed(f'@"{tmp_path}/my ') == [f'@"{tmp_path}/my notes.txt']
        assert completed(f"me@{tmp_path}/no") == []
        assert completed("") == completed("hello") == completed("/nothing ") == []
