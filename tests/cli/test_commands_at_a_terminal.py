"""The chat's commands on a real terminal, with the demo model."""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path

import pytest

from seallm_edge.chat import History

pytest.importorskip("pexpect")
pytest.importorskip("pyte")
if sys.platform == "win32":
    pytest.skip("a POSIX terminal", allow_module_level=True)

from support.chat import ANSWER, CAPITAL, CTRL_C, ENTER, GREEDY

KHMER = "ប្រទេសកម្ពុជាមានប្រជាជនដប់ប្រាំពីរលាននាក់ ហើយរាជធានីគឺភ្នំពេញ"
BURMESE = "မြန်မာနိုင်ငံတွင် လူဦးရေ ငါးဆယ်လေးသန်း ရှိသည်။ နေပြည်တော်သည် မြို့တော်ဖြစ်သည်။"


@pytest.fixture(autouse=True)
def terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMUX", "DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSH_TTY", "/dev/pts/0")  # the clipboard is the terminal's, on macOS too


def test_copy_sends_the_answer_to_the_terminals_clipboard(start) -> None:  # type: ignore[no-untyped-def]
    chat = start()
    chat.ask(CAPITAL, ANSWER)
    chat.ask("/copy", "(30 characters sent to the terminal for its clipboard; not every terminal takes them)")
    (sent,) = re.findall(rb"\x1b\]52;c;([A-Za-z0-9+/=]*)\x1b\\", chat.output)
    assert base64.b64decode(sent).decode() == ANSWER
    assert chat.leave() == 0


def test_set_holds_from_the_next_answer_on(start) -> None:  # type: ignore[no-untyped-def]
    chat = start()
    chat.ask("/set max_tokens 2", "(max_tokens is now 2)")
    chat.ask("/set temperature hot", "temperature is 'hot'")
    chat.ask(CAPITAL, "(cut off at the longest reply or the end of the context)")
    assert chat.leave() == 0


def test_the_picker_fits_forty_columns_in_every_script(start, home: Path) -> None:  # type: ignore[no-untyped-def]
    with History(home / "history.sqlite") as history:
        for title in (BURMESE, KHMER, "Ibu kota Indonesia yang baru di Kalimantan"):
            history.add_message(history.create(title), None, "user", "pertanyaan")
    chat = start(columns=40, rows=40)
    chat.type("/resume" + ENTER)
    chat.wait_for("number, or words to search for")
    rows = chat.lines()
    places = [n for n, line in enumerate(rows) if re.match(r" \d  \d{4}-", line)]
    assert places == [places[0], places[0] + 1, places[0] + 2]  # a row each
    assert "number, or words" in rows[places[2] + 1]
    chat.wait_for_prompt()
    chat.type("kalimantan" + ENTER)
    chat.wait_for(lambda rows: sum(bool(re.match(r" 1  [0-9-]{10}  Ibu kota", row)) for row in rows) == 2)
    chat.wait_for_prompt()
    chat.ask("1", "(the last message has no answer yet")
    assert "› pertanyaan" in chat.lines()
    assert chat.leave() == 0


def test_the_chat_speaks_the_language_of_the_environment_and_of_lang(start) -> None:  # type: ignore[no-untyped-def]
    chat = start(env={"SEALLM_LANG": "th"}, loaded="จาก 1,024 โทเค็น")
    assert chat.lines()[0].endswith("/help แสดงคำสั่งทั้งหมด")
    chat.loaded = "នៃ 1,024 token"
    chat.ask("/lang km", "(ឥឡូវការជជែកប្រើខ្មែរ; SEALLM_LANG=km រក្សាវាទុក)")
    chat.ask("/stats", "មិនទាន់មានចម្លើយទេ")
    assert chat.leave() == 0


def test_clear_leaves_the_conversation(start) -> None:  # type: ignore[no-untyped-def]
    chat = start()
    chat.ask(CAPITAL, ANSWER)
    chat.type("/clear" + ENTER)
    chat.wait_for(lambda rows: rows[:1] == ["›"])
    chat.ask("/branch", " 1* The capital")
    assert chat.leave() == 0


def test_a_long_document_is_read_in_parts_and_ctrl_c_answers_from_what_was_read(
    start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    (tmp_path / "log.txt").write_text("The weather was calm on that day.\n" * 600, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    chat = start(*GREEDY)
    chat.type("How was the weather? See @log.txt" + ENTER)
    chat.wait_for("read all of it in parts (p: about")
    chat.wait_for_prompt()
    chat.type("p" + ENTER)
    chat.wait_for(lambda rows: any(re.match(r"\(part 2 of \d+\)", row) for row in rows))
    chat.type(CTRL_C)
    chat.wait_for(lambda rows: any(re.match(r"\(stopped: notes on [1-9]\d* of \d+ parts\)", row) for row in rows))
    chat.wait_for_prompt()
    chat.ask("/context", "Document log.txt, of whose")
    assert re.search(r"\(log\.txt: \d+ parts; [\d,]+ tokens to read and up to [\d,]+ to write", chat.text())
    assert chat.leave() == 0
