"""The chat screen, line by line, over a scripted engine: its output, and the prompts."""

import io
import sys
from collections.abc import Callable

import pytest

from seallm_edge import EngineError, Reply, ScriptedEngine, SeaLLM, Timings, Usage
from seallm_edge.chat import ContextBudget, Conversation
from seallm_edge.engine.scripted import Script
from seallm_edge.terminal import Screen
from seallm_edge.text.unicode import visible

Captured = pytest.CaptureFixture[str]
HEADING = "scripted. /help lists the commands.\n"
ASKED_HI = "<|im_start|>system\n{}<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def typed(*lines: str) -> Callable[[], str | None]:
    """A reader of `lines`, then of the end of input."""
    waiting = iter(lines)
    return lambda: next(waiting, None)


def conversation(*replies: Script, n_ctx: int = 8192) -> tuple[Conversation, ScriptedEngine]:
    engine = ScriptedEngine(replies, n_ctx=n_ctx)
    return Conversation(SeaLLM.from_engine(engine)), engine


def asked(system: str = "You are a helpful assistant.") -> str:
    """The prompt of a conversation's first "Hi"."""
    return ASKED_HI.format(system)


def test_control_characters_cannot_steer_the_terminal() -> None:
    assert visible("\x1b[2Jred\x9b31m\x7f\r") == "␛[2Jred\ufffd31m␡␍"


def test_text_in_any_script_passes_unchanged() -> None:
    text = "one\n\ttwo မင်္ဂလာပါ ជំរាបសួរ 👨‍👩‍👧"
    assert visible(text) == text


def test_it_prints_the_model_then_each_reply_on_lines_of_its_own(capsys: Captured) -> None:
    talk, _ = conversation("Halo!", "Satu\ndua\x1b[2J")
    Screen(talk).run(typed("Hi", "Hitung"))
    assert capsys.readouterr() == (f"{HEADING}Halo!\nSatu\ndua␛[2J\n", "")


@pytest.mark.parametrize("last", [["/bye"], ["  /bye "], []])
def test_bye_and_the_end_of_input_leave(last: list[str], capsys: Captured) -> None:
    talk, _ = conversation()
    lines = typed(*last, *(["Hi"] if last else []))
    Screen(talk).run(lines)
    assert capsys.readouterr() == (HEADING, "")


def test_empty_lines_are_no_messages(capsys: Captured) -> None:
    talk, engine = conversation("Halo!")
    Screen(talk).run(typed("", "   ", "\n", "Hi"))
    assert (capsys.readouterr(), engine.prompts) == ((f"{HEADING}Halo!\n", ""), [asked()])


def test_a_message_reaches_the_model_as_typed() -> None:
    talk, _ = conversation("Halo!", "ok")
    Screen(talk).run(typed("  two spaces,\nand a line ", "/usr/bin is a folder"))
    assert [message.content for message in talk.messages[::2]] == ["  two spaces,\nand a line ", "/usr/bin is a folder"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/rerty", "no command /rerty; did you mean '/retry'?\n  /help lists them\n"),
        ("/wxyz now", "no command /wxyz\n  /help lists them\n"),
        ("/NEW", "no command /NEW; did you mean '/new'?\n  /help lists them\n"),
    ],
)
def test_an_unknown_command_is_told_with_the_nearest_and_never_sent(line: str, said: str, capsys: Captured) -> None:
    talk, engine = conversation()
    Screen(talk).run(typed(line))
    assert (capsys.readouterr(), engine.prompts) == ((HEADING, said), [])


def test_help_lists_every_command(capsys: Captured) -> None:
    talk, _ = conversation()
    Screen(talk).run(typed("/help"))
    shown = capsys.readouterr().out.removeprefix(HEADING).splitlines()
    assert [line.split()[0] for line in shown[:-2]] == [
        "/new", "/sessions", "/resume", "/rename", "/search", "/export", "/model", "/system", "/persona", "/file",
        "/edit", "/retry", "/continue", "/undo", "/branch", "/set", "/lang", "/context", "/stats", "/copy", "/clear",
        "/help", "/bye",
    ]  # fmt: skip
    assert "/search WORDS    search the messages of all conversations" in shown


def test_retry_asks_the_same_prompt_once_more(capsys: Captured) -> None:
    talk, engine = conversation("Halo!", "Hai!")
    Screen(talk).run(typed("Hi", "/retry"))
    assert capsys.readouterr() == (f"{HEADING}Halo!\nHai!\n", "")
    assert engine.prompts == [asked(), asked()]
    assert [message.content for message in talk.messages] == ["Hi", "Hai!"]


def test_retry_before_any_answer_says_so(capsys: Captured) -> None:
    talk, engine = conversation()
    Screen(talk).run(typed("/again"))  # its earlier name
    assert (capsys.readouterr(), engine.prompts) == (
        (HEADING, "there is no message to answer yet\n  say something\n"), [],
    )  # fmt: skip


def test_new_starts_over(capsys: Captured) -> None:
    talk, engine = conversation("Halo!", "Halo!")
    Screen(talk).run(typed("Hi", "/new", "Hi"))
    assert capsys.readouterr() == (f"{HEADING}Halo!\nHalo!\n", "(a new conversation)\n")
    assert engine.prompts == [asked(), asked()]


def test_system_starts_over_with_another_message_and_back_to_the_models_own(capsys: Captured) -> None:
    talk, engine = conversation("Halo!", "Hai!", "Halo!")
    Screen(talk).run(typed("Hi", "/system  Be brief. ", "Hi", "/system", "Hi"))
    assert capsys.readouterr() == (
        f"{HEADING}Halo!\nHai!\nHalo!\n",
        "(a new conversation, with this system message)\n(a new conversation, with the model's own system message)\n",
    )
    assert engine.prompts == [asked(), asked("Be brief."), asked()]


def test_a_first_message_that_overflows_the_context_is_refused(capsys: Captured) -> None:
    talk, engine = conversation(n_ctx=100)
    Screen(talk).run(typed("long " * 60))
    assert capsys.readouterr() == (
        "scripted. /help lists the commands.\n",
        "the prompt is 357 tokens (English, 300 characters) but the context holds 100\n"
        "  shorten it: this model reads 100 tokens at most\n",
    )
    assert engine.prompts == []


def test_a_later_one_too_and_the_chat_goes_on(capsys: Captured) -> None:
    talk, engine = conversation("Halo!", "Halo!", n_ctx=100)
    Screen(talk).run(typed("Hi", "long " * 60, "/new", "Hi"))
    assert capsys.readouterr().err == (
        "the prompt is 357 tokens (English, 300 characters) but the context holds 100\n"
        "  shorten it: this model reads 100 tokens at most\n"
        "(a new conversation)\n"
    )
    assert engine.prompts == [asked(), asked()]


def test_where_no_turn_may_leave_the_context_a_new_conversation_is_proposed(capsys: Captured) -> None:
    talk, _ = conversation("Halo!", n_ctx=100)
    talk.budget = ContextBudget(when_full="stop")
    Screen(talk).run(typed("Hi", "long " * 20))
    assert capsys.readouterr().err == (
        "the prompt is 185 tokens (English, 109 characters) but the context holds 100\n"
        "  shorten it: this model reads 100 tokens at most\n"
        "  or start over with /new\n"
    )


def test_a_reply_that_fails_is_told_and_forgotten(capsys: Captured) -> None:
    talk, engine = conversation(EngineError("out of memory", "close other programs"), "Halo!")
    Screen(talk).run(typed("Hi", "Hi"))
    assert capsys.readouterr() == (f"{HEADING}Halo!\n", "out of memory\n  close other programs\n")
    assert engine.prompts == [asked(), asked()]


def test_a_reply_cut_at_its_longest_is_told(capsys: Captured) -> None:
    talk, _ = conversation("Halo!")
    talk.sampling["max_tokens"] = 3
    Screen(talk).run(typed("Hi"))
    assert capsys.readouterr() == (
        f"{HEADING}Hal\n",
        "(cut off at the longest reply or the end of the context)\n",
    )


class InterruptedOutput(io.StringIO):
    """Standard output, during which Ctrl-C is pressed: as the text `at` is written."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self._at = at

    def write(self, text: str) -> int:
        written = super().write(text)
        if text == self._at:
            raise KeyboardInterrupt
        return written


def test_ctrl_c_stops_a_reply_and_what_was_shown_of_it_is_remembered(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    talk, _ = conversation("one two", "three")
    output = InterruptedOutput(at="w")
    monkeypatch.setattr(sys, "stdout", output)
    Screen(talk).run(typed("Count", "Go on"))
    assert output.getvalue() == f"{HEADING}one tw\nthree\n"
    assert capsys.readouterr().err == "(stopped)\n"
    assert [message.content for message in talk.messages] == ["Count", "one tw", "Go on", "three"]


def test_ctrl_c_at_the_prompt_leaves() -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    talk, _ = conversation()
    with pytest.raises(KeyboardInterrupt):
        Screen(talk).run(interrupted)


@pytest.mark.parametrize(
    ("text", "tokens_per_step", "said"),
    [
        (
            "1 + 1 = 2",
            1.0,
            "1,234 tokens read (1,000 cached) in 0.5 s; 40 tokens, 120 characters written, "
            "at 60 characters/s (20.0 tokens/s)\n",
        ),
        (
            "สวัสดีครับ ผมชื่อสมชาย",
            1.6,
            "1,234 tokens read (1,000 cached) in 0.5 s; 40 tokens, 120 characters of Thai written, "
            "1.60 tokens a step by drafting (1.30 times as fast), at 60 characters/s (20.0 tokens/s)\n",
        ),
    ],
)
def test_stats_tells_what_the_last_answer_took(text: str, tokens_per_step: float, said: str, capsys: Captured) -> None:
    talk, _ = conversation()
    talk.last_reply = Reply(text, "stop", Usage(1234, 1000, 40, 120), Timings(0.5, 0.6, 2.5, tokens_per_step, 1.3))
    Screen(talk).run(typed("/stats"))
    assert capsys.readouterr() == (HEADING + said, "")


def test_stats_before_any_answer_says_so(capsys: Captured) -> None:
    talk, _ = conversation("Halo!")
    Screen(talk).run(typed("/stats", "Hi", "/new", "/stats"))
    assert capsys.readouterr().err == "no answer yet\n(a new conversation)\nno answer yet\n"
