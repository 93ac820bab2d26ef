"""`seallm chat` at a real terminal: typed at, and looked at as whole screens."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

pytest.importorskip("pexpect")
pytest.importorskip("pyte")
if sys.platform == "win32":
    pytest.skip("a POSIX terminal", allow_module_level=True)

from seallm_edge.chat import History
from support.chat import ANSWER, BACKSPACE, CAPITAL, CTRL_C, CTRL_D, DEMO, ENTER, GREEDY, LOADED, Chat
from support.terminal import Terminal

STORY = "Tell me a very long story about a village."
ENDLESS = (*GREEDY, "--max-tokens", "900", "--repeat-penalty", "1")
STAND_IN = "SmolLM2-135M-Instruct: English stand-in for trying seallm-edge out; it is no SeaLLMs model"
HEADING = [f"{DEMO}. /help lists the commands.", STAND_IN]


def modes(chat: Chat) -> str:
    """Settings of the terminal, as `stty -g` writes them."""
    return subprocess.run(
        ["stty", "-g", "-F", os.ttyname(chat.child.child_fd)] if sys.platform == "linux" else ["stty", "-g"],
        stdin=chat.child.child_fd, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def test_it_answers_and_leaves_at_the_end_of_input(start) -> None:  # type: ignore[no-untyped-def]
    chat = start()
    chat.ask(CAPITAL, ANSWER)
    assert chat.conversation() == [*HEADING, f"› {CAPITAL}", ANSWER, "›"]
    assert re.fullmatch(rf"{DEMO} · \d+ of 1,024 tokens \(\d%\) · \d+ characters/s.*", chat.lines()[-1])
    assert chat.leave() == 0


def test_what_is_typed_before_the_model_is_loaded_is_answered(start, seallm) -> None:  # type: ignore[no-untyped-def]
    chat = Terminal(seallm.command("chat", DEMO, *GREEDY), rows=24, columns=100)
    chat.wait_for("›")
    chat.type(CAPITAL + ENTER)
    chat.wait_for(ANSWER)
    chat.kill()


@pytest.mark.parametrize(
    "text",
    [
        "ជំរាបសួរ តើអ្នកសុខសប្បាយទេ?",
        "မင်္ဂလာပါ နေကောင်းလား",
        "น้ำใจดีมากที่นี่",
        "ສະບາຍດີ ນ້ຳໃຈ",
        "வணக்கம், எப்படி இருக்கிறீர்கள்?",
        "Tiếng Việt có dấu",
        unicodedata.normalize("NFD", "Tiếng Việt có dấu"),
        "你好，今天天气怎么样？",
        "ភាសា\u200bខ្មែរ",
    ],
)
def test_every_script_is_shown_as_typed_and_stored_as_typed(text: str, start) -> None:  # type: ignore[no-untyped-def]
    chat = start()
    for char in text:
        chat.type(char)
        chat.read(0.01)
    chat.wait_for(f"› {text}")
    assert chat.conversation() == [*HEADING, f"› {text}"]
    chat.type(ENTER)
    chat.wait_for("characters/s")
    chat.wait_for_prompt()
    assert chat.leave() == 0
    with History() as history:
        (stored,) = history.conversations()
        assert history.tree(stored.id).messages[0].content == text


def test_long_khmer_and_burmese_lines_wrap_and_are_edited_where_the_cursor_is(start) -> None:  # type: ignore[no-untyped-def]
    chat = start(columns=40)
    khmer = "ប្រទេសកម្ពុជាមានប្រជាជនប្រមាណដប់ប្រាំពីរលាននាក់ ហើយទីក្រុងធំជាងគេគឺភ្នំពេញ"
    chat.type(khmer)
    chat.wait_until_quiet()
    typed = [row for row in chat.conversation() if row][-2:]
    assert "".join(row[2:] for row in typed).replace(" ", "") == khmer.replace(" ", "")
    chat.type("\x1b[D" * 3 + "X")
    chat.wait_for("X")
    chat.type(ENTER)
    chat.wait_for_prompt()
    chat.kill()
    with History() as history:
        (stored,) = history.conversations()
        assert history.tree(stored.id).messages[0].content == khmer.replace("ភ្នំពេញ", "Xភ្នំពេញ")


@pytest.mark.parametrize(
    ("burst", "shown"),
    [("vie" + BACKSPACE + "êt", "viêt"), ("duo" + BACKSPACE * 2 + "ươ" + "ng", "dương"), ("a" + BACKSPACE + "ă", "ă")],
)
def test_bursts_of_vietnamese_input_methods(burst: str, shown: str, start) -> None:  # type: ignore[no-untyped-def]
    chat = start()
    chat.type(burst)
    chat.wait_for(f"› {shown}")
    chat.type(CTRL_C)
    chat.wait_for_prompt()
    chat.type(STORY + ENTER)
    chat.wait_for("characters/s")
    chat.type(burst)  # while the reply streams, or after it
    chat.wait_for(f"› {shown}")


def test_a_paste_of_many_lines_is_one_message(start) -> None:  # type: ignore[no-untyped-def]
    chat = start("--temperature", "0", "--max-tokens", "4", "--context", "8192")
    lines = [f"line {number} ทดสอบ" for number in range(200)]
    chat.type("\x1b[200~" + "\n".join(lines) + "\x1b[201~")
    chat.wait_for("line 199 ทดสอบ")
    chat.type(ENTER)
    chat.wait_for("reading the prompt")
    chat.kill()
    with History() as history:
        (stored,) = history.conversations()
        assert history.tree(stored.id).messages[0].content == "\n".join(lines)


def test_a_conversation_is_resumed_with_its_last_turn_on_the_screen(start) -> None:  # type: ignore[no-untyped-def]
    chat = start()
    chat.ask(CAPITAL, ANSWER)
    assert chat.leave() == 0
    again = start("--continue", *GREEDY)
    again.wait_for_prompt()
    assert again.conversation() == [HEADING[0], f"› {CAPITAL}", ANSWER, STAND_IN, "›"]
    again.ask("/context", " tokens of context")
    assert again.leave() == 0


def test_a_second_ctrl_c_while_the_model_loads_leaves_at_once(seallm) -> None:  # type: ignore[no-untyped-def]
    python, flag, code, *arguments = seallm.command("chat", DEMO, *GREEDY)
    slowly = """
import seallm_edge.llm, time
def load(*arguments, on_progress, **options):
    for _ in range(6_000):
        on_progress(0.1)
        time.sleep(0.05)
seallm_edge.llm.SeaLLM = load
"""
    chat = Terminal([python, flag, slowly + code, *arguments], columns=100)
    chat.wait_for("loading")
    chat.type(CAPITAL + ENTER)
    chat.wait_for(lambda rows: rows[-2] == "›" and "loading" in rows[-1])
    chat.type(CTRL_C)
    chat.wait_for("(stopped before the answer: your message was taken back)")
    chat.wait_for(lambda rows: rows.count(f"› {CAPITAL}") == 2)
    chat.type(CTRL_C)
    chat.seconds = 20.0  # the load would take five minutes
    assert chat.end() == 130


@pytest.mark.parametrize("keys", ["Halo", CTRL_D])
def test_keys_that_come_while_a_command_runs_wait_for_the_next_prompt(keys: str, seallm) -> None:  # type: ignore[no-untyped-def]
    python, flag, code, *arguments = seallm.command("chat", DEMO, *GREEDY)
    slowly = """
import time
from seallm_edge.terminal.commands.showing import Showing
def stats(self, argument):
    print("counting", flush=True)
    time.sleep(1)
Showing._stats = stats
"""
    chat = Chat([python, flag, slowly + code, *arguments])
    chat.type("/stats" + ENTER)
    chat.wait_for(lambda rows: "counting" in rows)
    chat.type(keys)
    if keys == CTRL_D:
        assert chat.end() == 0
    else:
        chat.wait_for_prompt(f"› {keys}")
        assert not any(row == keys for row in chat.lines())  # no echo besides
        chat.kill()


def test_commands_do_what_help_says(start) -> None:  # type: ignore[no-untyped-def]
    chat = start()
    for command, answer in (
        ("/stats", "no answer yet"),
        ("/retry", "there is no message to answer yet"),
        ("/nonsense", "no command /nonsense"),
        ("/rerty", "no command /rerty; did you mean '/retry'?"),
        (CAPITAL, ANSWER),
        ("/stats", "7 tokens, 30 characters of English written"),
        ("/new", "a new conversation"),
    ):
        chat.ask(command, answer)
    chat.type("/bye" + ENTER)
    assert chat.end() == 0


def test_ctrl_c_stops_a_reply_keeps_it_and_the_chat_goes_on(start) -> None:  # type: ignore[no-untyped-def]
    chat = start(*ENDLESS)
    before = modes(chat)
    chat.type(STORY + ENTER)
    chat.wait_for("Ctrl-C stops")
    chat.wait_for("characters/s")
    chat.type(CTRL_C)
    chat.wait_for("(stopped)")
    chat.wait_for_prompt()
    assert modes(chat) == before
    shown = chat.conversation()
    assert (shown[:3], shown[-2:]) == ([*HEADING, f"› {STORY}"], ["(stopped)", "›"])
    assert chat.leave() == 0
    with History() as history:
        (stored,) = history.conversations()
        reply = history.tree(stored.id).messages[1]
        assert (reply.state, reply.content.split()) == ("cut", " ".join(shown[3:-2]).split())


def test_ctrl_c_as_a_reply_has_ended_gives_no_message_back(start) -> None:  # type: ignore[no-untyped-def]
    chat = start()
    chat.ask(CAPITAL, ANSWER)
    chat.type(CTRL_C)
    chat.wait_for("(Ctrl-C again, or Ctrl-D, leaves)")
    chat.wait_for_prompt()
    assert chat.conversation() == [*HEADING, f"› {CAPITAL}", ANSWER, "(Ctrl-C again, or Ctrl-D, leaves)", "›"]


def test_keys_typed_during_a_reply_are_echoed_below_it_and_answered_after_it(start) -> None:  # type: ignore[no-untyped-def]
    chat = start(*ENDLESS, "--max-tokens", "150")
    chat.type(STORY + ENTER)
    chat.wait_for("characters/s")
    chat.type("ជំរាបសួរ")
    chat.wait_for(lambda rows: rows[-2] == "› ជំរាបសួរ" and "Ctrl-C stops" in rows[-1])
    chat.type(BACKSPACE * 8 + "/context" + ENTER + "and th")
    chat.wait_for(lambda rows: "1 waiting" in rows[-1] and rows[-2] == "› and th")
    chat.wait_for_prompt("› and th")
    shown = chat.conversation()
    assert shown[-1] == "› and th"
    assert "› /context" in shown
    assert shown.index("› /context") > shown.index(f"› {STORY}") + 2
    chat.type("en?" + ENTER)
    chat.wait_for("› and then?")


def test_ctrl_c_gives_waiting_messages_back(start) -> None:  # type: ignore[no-untyped-def]
    chat = start(*ENDLESS)
    chat.type(STORY + ENTER)
    chat.wait_for("characters/s")
    chat.type("one" + ENTER + "two")
    chat.wait_for("1 waiting")
    chat.type(CTRL_C)
    chat.wait_for("(stopped)")
    chat.wait_for(lambda rows: "› one" in rows and "  two" in rows)


def test_a_resize_during_a_reply_loses_no_text_of_it(start) -> None:  # type: ignore[no-untyped-def]
    chat = start(*ENDLESS, "--max-tokens", "200")
    chat.type(STORY + ENTER)
    chat.wait_for("characters/s")
    chat.resize(20, 60)
    chat.wait_for_prompt()
    shown = " ".join(chat.conversation())
    with History() as history:
        (stored,) = history.conversations()
        words = history.tree(stored.id).messages[1].content.split()
    assert len(words) > 60
    assert re.sub(r"\W", "", "".join(words[-30:])) in re.sub(r"\W", "", shown)
    assert max(len(row) for row in chat.lines()) <= 60


def test_a_second_ctrl_c_at_the_prompt_leaves_with_130(start) -> None:  # type: ignore[no-untyped-def]
    chat = start()
    chat.type("abc" + CTRL_C)
    chat.wait_for_prompt()
    chat.type(CTRL_C)
    chat.wait_for("(Ctrl-C again, or Ctrl-D, leaves)")
    chat.type("x" + BACKSPACE + CTRL_C)
    chat.wait_until_quiet()
    chat.type(CTRL_C)
    assert chat.end() == 130


def test_killed_it_leaves_a_terminal_as_it_was(seallm) -> None:  # type: ignore[no-untyped-def]
    command = " ".join(f"'{part}'" for part in seallm.command("chat", DEMO, *ENDLESS))
    shell = Terminal(
        ["/bin/sh", "-c", f"stty -g; {command}; sleep 1; stty -g; echo done; sleep 60"], rows=24, columns=100
    )
    shell.wait_for(LOADED)
    shell.type(STORY + ENTER)
    shell.wait_for("characters/s")
    children = subprocess.run(
        ["ps", "--ppid", str(shell.child.pid), "-o", "pid="], capture_output=True, text=True, check=True
    )
    os.kill(int(children.stdout.split()[0]), 9)
    shell.wait_for("done")
    settings = [row for row in shell.text().splitlines() if re.fullmatch(r"[0-9a-f]+(:[0-9a-f]+)+", row)]
    assert len(settings) == 2
    assert settings[0] == settings[1]
    assert shell.margins() is None
    shell.kill()


@pytest.mark.parametrize("seed", range(10))
def test_killed_at_any_moment_nothing_shown_is_lost(seed: int, start) -> None:  # type: ignore[no-untyped-def]
    choose = random.Random(seed)
    chat = start(*ENDLESS)
    chat.ask(CAPITAL, "Tokyo")
    chat.type(STORY + ENTER)
    n_seen = choose.randrange(400)
    chat.wait_for(
        lambda rows: "Ctrl-C stops" in rows[-1] and len("".join(rows[rows.index(f"› {STORY}") : -2])) > n_seen
    )
    chat.read(choose.random() / 10)
    chat.kill()
    shown = chat.conversation()
    first, last = shown.index(f"› {STORY}") + 1, len(shown)
    said = re.sub(r"\s", "", "".join(row for row in shown[first:last] if not row.startswith("›")))
    again = start("--continue", *ENDLESS)
    again.wait_until_quiet()
    with History() as history:
        (stored,) = history.conversations()
        messages = history.tree(stored.id).messages
    assert [message.role for message in messages][:2] == ["user", "assistant"]
    assert messages[0].content == CAPITAL
    assert messages[2].content == STORY
    kept = re.sub(r"\s|[*#`_]", "", messages[3].content) if len(messages) > 3 else ""
    assert kept.startswith(re.sub(r"[*#`_]", "", said))
    assert (messages[3].state if len(messages) > 3 else "cut") == "cut"
    assert again.child.isalive()


def test_a_dumb_terminal_and_plain_get_raw_text(start, seallm) -> None:  # type: ignore[no-untyped-def]
    for options, env in (((), {"TERM": "dumb"}), (("--plain",), {})):
        chat = Terminal(seallm.command("chat", DEMO, *GREEDY, *options), columns=100, env=env)
        chat.wait_for("›")
        chat.type(CAPITAL + ENTER)
        chat.wait_for(ANSWER)
        chat.wait_until_quiet()
        assert "characters/s" not in chat.text()
        chat.type(CTRL_D)
        assert chat.end() == 0


def test_an_unknown_model_is_told_before_the_prompt_and_a_damaged_one_ends_the_chat(
    seallm, tmp_path: Path  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    unknown = Terminal(seallm.command("chat", "no-such-model"))
    assert unknown.end() == 1
    assert unknown.lines() == ["no model named 'no-such-model'", "  see them all: seallm models"]
    file = tmp_path / "damaged.gguf"
    file.write_bytes(b"GGUF" + bytes(100))
    damaged = Terminal(seallm.command("chat", str(file)))
    assert damaged.end() == 1
    assert "damaged.gguf" in damaged.lines()[-2]


def test_without_prompt_toolkit_each_line_is_a_message(seallm) -> None:  # type: ignore[no-untyped-def]
    python, flag, code, *arguments = seallm.command("chat", DEMO, *GREEDY)
    without = f"import sys; sys.modules['prompt_toolkit'] = None; {code}"
    chat = Terminal([python, flag, without, *arguments], columns=100)
    chat.wait_for("›")
    chat.type(CAPITAL + ENTER)
    chat.wait_for(ANSWER)
    chat.wait_until_quiet()
    assert chat.lines()[-2:] == [ANSWER, "›"]
    chat.type(CTRL_D)
    assert chat.end() == 0


def test_with_stdout_in_a_file_the_prompt_is_on_the_terminal_and_only_answers_in_the_file(
    seallm, tmp_path: Path  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    command = " ".join(f"'{part}'" for part in seallm.command("chat", DEMO, *GREEDY))
    chat = Terminal(["/bin/sh", "-c", f"{command} > '{tmp_path / 'answers.txt'}'"], columns=100)
    answers = tmp_path / "answers.txt"
    chat.wait_for("SmolLM2")
    chat.type(CAPITAL + ENTER)
    chat.wait_for(lambda _: answers.read_text(encoding="utf-8").endswith("\n"))
    chat.wait_until_quiet()
    chat.type(CTRL_D)
    assert chat.end() == 0
    assert answers.read_text(encoding="utf-8") == f"{ANSWER}\n"


def test_a_question_is_not_answered_by_a_message_that_waits(start, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "log.txt").write_text("The weather was calm on that day.\n" * 600, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    chat = start(*ENDLESS, "--max-tokens", "60")
    chat.type(STORY + ENTER)
    chat.wait_for("characters/s")
    chat.type("See @log.txt" + ENTER + CAPITAL + ENTER)
    chat.wait_for("send its beginning (y)")
    chat.wait_for_prompt()
    chat.type("n" + ENTER)
    chat.wait_for("(the message was not sent)")
    chat.wait_for(f"› {CAPITAL}")
    chat.wait_for_prompt()
    assert chat.leave() == 0


def test_a_model_that_cannot_be_loaded_leaves_the_one_before(start, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF" + bytes(100))
    chat = start()
    chat.type(f"/model {damaged}" + ENTER)
    chat.wait_for("(damaged continues this conversation)")
    chat.wait_for(lambda rows: any("damaged.gguf" in row and "/model" not in row for row in rows))
    chat.wait_for_prompt()
    chat.ask(CAPITAL, ANSWER)
    assert chat.leave() == 0
