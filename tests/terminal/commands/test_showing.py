"""`/copy`, `/clear` and the rows of lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from seallm_edge.chat import History
from support.chat_screens import run, talk

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts that a clipboard program took."""
    texts: list[str] = []
    monkeypatch.setattr(
        "seallm_edge.terminal.commands.showing.copy", lambda text, *given: texts.append(text) or "xclip"
    )
    return texts


def test_copy_takes_the_last_answer_and_the_last_code_block(capsys: Captured, copied: list[str]) -> None:
    answers = ("Here:\n```python\nprint('สวัสดี')\n```\nDone.", "No code in **this**.")
    _, err = run(talk(History.in_memory(), *answers), capsys, "Hi", "And?", "/copy", "/copy code")
    assert copied == ["No code in **this**.", "print('สวัสดี')"]
    assert err == ["(20 characters copied by xclip)", "(15 characters copied by xclip)"]


def test_with_nothing_to_copy_it_says_so(capsys: Captured, copied: list[str]) -> None:
    _, err = run(talk(History.in_memory(), "Halo!"), capsys, "/copy", "Hi", "/copy code")
    assert (err, copied) == (["no answer yet", "no answer has a code block"], [])


def test_clear_writes_nothing_where_there_is_no_screen(capsys: Captured) -> None:
    conversation = talk(History.in_memory(), "Halo!")
    assert run(conversation, capsys, "Hi", "/clear") == (["Halo!"], [])
    assert len(conversation.messages) == 2


def test_the_model_list_marks_the_current_one(capsys: Captured, home: Path, demo_file: Path) -> None:
    (home / "models").mkdir()
    (home / "models" / "seallms-v3-7b.gguf").write_bytes(b"GGUF")  # a base model
    (home / "models" / "scripted.gguf").write_bytes(b"GGUF" * 250_000)
    out, _ = run(talk(History.in_memory()), capsys, "/model")
    assert out == ["* scripted  1.00 MB", "  smollm2-135m-instruct  98.36 MB  Q4_1"]


def test_without_a_screen_that_can_the_model_stays(capsys: Captured) -> None:
    _, err = run(talk(History.in_memory()), capsys, "/model other")
    assert err == ["this chat has one model", "  start another chat"]
