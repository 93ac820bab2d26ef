"""The chat's commands on a real terminal, with the demo model."""

from __future__ import annotations

import base64
import os
import re
import sys
from pathlib import Path

import pytest

from seallm_edge.chat import History

pexpect = pytest.importorskip("pexpect")
pyte = pytest.importorskip("pyte")

DEMO = "smollm2-135m-instruct"
CAPITAL = "What is the capital of Japan?"
ANSWER = "The capital of Japan is Tokyo."
KHMER = "ប្រទេសកម្ពុជាមានប្រជាជនដប់ប្រាំពីរលាននាក់ ហើយរាជធានីគឺភ្នំពេញ"
BURMESE = "မြန်မာနိုင်ငံတွင် လူဦးရေ ငါးဆယ်လေးသန်း ရှိသည်။ နေပြည်တော်သည် မြို့တော်ဖြစ်သည်။"
COLUMNS = 40


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX terminal")
class TestCommandsAtATerminal:
    @pytest.fixture
    def start(self, seallm, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
        for name in ("TMUX", "DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "COLUMNS"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("SSH_TTY", "/dev/pts/0")  # the clipboard is the terminal's, on macOS too
        monkeypatch.setenv("TERM", "xterm-256color")

        def started(*options: str, columns: int = 100):  # type: ignore[no-untyped-def]
            greedy = ("--temperature", "0", "--max-tokens", "24", "--context", "1024")
            command, *arguments = seallm.command("chat", DEMO, *greedy, *options)
            environ = {**os.environ}  # readline sets COLUMNS in that of the process, beside Python's
            child = pexpect.spawn(
                command, arguments, encoding="utf-8", timeout=60, dimensions=(40, columns), env=environ
            )
            child.expect("›")
            return child

        return started

    def leave(self, child) -> None:  # type: ignore[no-untyped-def]
        child.expect("›")
        child.sendeof()
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0

    def test_copy_sends_the_answer_to_the_terminals_clipboard(self, start) -> None:
        child = start()
        child.send(f"{CAPITAL}\r")
        child.expect(re.escape(ANSWER))
        child.expect("›")
        child.send("/copy\r")
        child.expect("\x1b]52;c;([A-Za-z0-9+/=]*)\x1b\\\\")
        assert base64.b64decode(child.match[1]).decode() == ANSWER
        child.expect(r"\(30 characters sent to the terminal for its clipboard; not every terminal takes them\)")
        self.leave(child)

    def test_set_holds_from_the_next_answer_on(self, start) -> None:
        child = start()
        child.send("/set max_tokens 2\r")
        child.expect(r"\(max_tokens is now 2\)")
        child.send("/set temperature hot\r")
        child.expect("temperature is 'hot'\r\n  give a number")
        child.send(f"{CAPITAL}\r")
        child.expect(r"\(cut off at the longest reply")
        self.leave(child)

    def test_the_picker_fits_forty_columns_in_every_script(self, start, home: Path) -> None:
        with History(home / "history.sqlite") as history:
            for title in (BURMESE, KHMER, "Ibu kota Indonesia yang baru di Kalimantan"):
                history.add_message(history.create(title), None, "user", "pertanyaan")
        child = start(columns=COLUMNS)
        screen = pyte.Screen(COLUMNS, 40)
        stream = pyte.Stream(screen)
        child.send("/resume\r")
        child.expect(re.escape("number, or words to search for"))
        stream.feed(child.before)
        places = [n for n, line in enumerate(screen.display) if re.match(r" \d  \d{4}-", line)]
        assert places == [places[0], places[0] + 1, places[0] + 2]  # a row each
        assert "number, or words" not in screen.display[places[2]]
        child.expect("›")
        child.send("kalimantan\r")
        child.expect(" 1  [0-9-]{10}  Ibu kota")
        child.expect("›")
        child.send("1\r")
        child.expect("the last message has no answer yet: pertanyaan")
        child.expect("› pertanyaan\r\n")  # the end of the conversation, before the prompt
        self.leave(child)

    def test_the_chat_speaks_the_language_of_the_environment_and_of_lang(
        self, start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SEALLM_LANG", "th")
        child = start()
        assert "/help แสดงคำสั่งทั้งหมด" in child.before
        child.send("/lang km\r")
        child.expect(re.escape("(ឥឡូវការជជែកប្រើខ្មែរ; SEALLM_LANG=km រក្សាវាទុក)"))
        child.send("/stats\r")
        child.expect("មិនទាន់មានចម្លើយទេ")
        self.leave(child)

    def test_clear_leaves_the_conversation(self, start) -> None:
        child = start()
        child.send(f"{CAPITAL}\r")
        child.expect(re.escape(ANSWER))
        child.expect("›")
        child.send("/clear\r")
        child.expect(re.escape("\x1b[2J\x1b[3J\x1b[H"))
        child.send("/branch\r")
        child.expect(r" 1\* The capital")
        self.leave(child)

    def test_a_long_document_is_read_in_parts_and_ctrl_c_answers_from_what_was_read(
        self, start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "log.txt").write_text("The weather was calm on that day.\n" * 600, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        child = start()
        child.send("How was the weather? See @log.txt\r")
        child.expect(r"read all of it in parts \(p: about \d+\)")
        child.expect("›")
        child.send("p\r")
        child.expect(r"\(log\.txt: \d+ parts; [\d,]+ tokens to read and up to [\d,]+ to write before the answer\)")
        child.expect(r"\(part 2 of \d+\)")
        child.sendintr()
        child.expect(r"\(stopped: notes on [1-9]\d* of \d+ parts\)")
        child.expect("›")
        child.send("/context\r")
        child.expect("Document log.txt, of whose")
        self.leave(child)
