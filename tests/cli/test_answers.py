"""Answers of `seallm run`: turns of stored conversations, several choices, and pipes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from seallm_edge import ScriptedEngine, SeaLLM
from seallm_edge.chat import Conversation, History
from seallm_edge.cli.answers import Answers, require_chat_model
from seallm_edge.errors import EngineError, InvalidOption, SeaLLMError
from seallm_edge.hints import command_line_words

SEALLM = Any  # the fixture that runs the command line
DEMO = "smollm2-135m-instruct"
CAPITAL = "What is the capital of Japan?"
ANSWER = "The capital of Japan is Tokyo."
GREEDY = ("--temperature", "0", "--max-tokens", "24", "--context", "1024")
STORY = ("run", DEMO, "Tell me a very long story.", "--max-tokens", "4000", "--seed", "1")
STAND_IN = b"SmolLM2-135M-Instruct: English stand-in for trying seallm-edge out; it is no SeaLLMs model\n"

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes and signals")


def stored(title: str) -> list[tuple[str, str, str]]:
    """(role, content, state) of the messages of a conversation."""
    with History() as history:
        messages = history.tree(history.find(title).id).branch
    return [(message.role, message.content, message.state) for message in messages]


def start(seallm: SEALLM, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(seallm.command(*arguments), env=environment, **streams)


class TestSession:
    def test_the_next_run_knows_what_was_said(self, seallm: SEALLM) -> None:
        first = seallm("run", DEMO, CAPITAL, "--session", "Geografi", *GREEDY)
        assert (first.returncode, first.stdout.decode(), first.stderr) == (0, f"{ANSWER}\n", STAND_IN)
        assert stored("Geografi") == [("user", CAPITAL, "complete"), ("assistant", ANSWER, "complete")]
        second = json.loads(seallm("run", DEMO, "Say it again.", "--session", "geografi", *GREEDY, "--json").stdout)
        with History() as history:
            (only,) = history.conversations()
        assert (second["session"], only.title, only.n_messages) == (only.id, "Geografi", 4)
        assert second["usage"]["prompt_tokens"] > 50
        assert stored(only.id)[2:] == [("user", "Say it again.", "complete"), ("assistant", second["text"], "complete")]

    def test_a_new_session_takes_a_system_message_and_a_stored_one_refuses_it(self, seallm: SEALLM) -> None:
        seallm("run", DEMO, "Hi", "--session", "S", "--persona", "th", *GREEDY)
        with History() as history:
            assert history.find("S").persona == "th"
        for option, value in (("--persona", "th"), ("--system", "Be brief.")):
            refused = seallm("run", DEMO, "Hi", "--session", "S", option, value, *GREEDY)
            assert (refused.returncode, refused.stdout, refused.stderr.decode()) == (
                1,
                b"",
                f"a stored conversation has its own system message\n  leave out {option}, or begin a new one\n",
            )

    def test_the_next_run_does_not_prefill_the_turns_before(self, seallm: SEALLM) -> None:
        seallm("run", DEMO, f"{CAPITAL} {'Think well. ' * 30}", "--session", "S", *GREEDY)
        second = json.loads(seallm("run", DEMO, "Say it again.", "--session", "S", *GREEDY, "--json").stdout)
        assert second["usage"]["cached_tokens"] >= 64

    def test_a_schema_binds_the_turn(self, seallm: SEALLM) -> None:
        done = seallm("run", DEMO, "Is water wet?", "--session", "S", "--schema", '{"const": "ຈ້າ"}', *GREEDY)
        assert (done.returncode, done.stdout.decode()) == (0, '"ຈ້າ"\n')
        assert stored("S")[1] == ("assistant", '"ຈ້າ"', "complete")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (
                ("--session", "S", "-n", "2"),
                "--session and --choices are both given\n  leave one out: a conversation continues with one reply\n",
            ),
            (("--session", " "), "the name of the session is empty\n  give a title or an id: seallm sessions\n"),
        ],
    )
    def test_what_cannot_be_stored_is_refused_before_the_model_is_loaded(
        self, seallm: SEALLM, options: tuple[str, ...], words: str
    ) -> None:
        done = seallm("run", DEMO, "Hi", *options)
        assert (done.returncode, done.stdout, done.stderr.decode()) == (1, b"", words)

    def test_a_base_model_has_no_conversations(self) -> None:
        llm = SeaLLM.from_engine(ScriptedEngine([], chats=False))
        with pytest.raises(InvalidOption) as error:
            require_chat_model(llm)
        assert error.value.worded(command_line_words) == (
            "scripted is a base model: it continues a text, and has no conversations\n"
            "  leave out --session, or name a chat model"
        )

    @posix
    @pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
    def test_an_interrupted_reply_is_kept_as_cut(self, seallm: SEALLM, sign: signal.Signals) -> None:
        with start(seallm, *STORY, "--session", "Cerita") as process:
            assert process.stdout
            shown = os.read(process.stdout.fileno(), 1 << 16)
            process.send_signal(sign)
            rest, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (130 if sign == signal.SIGINT else -9, STAND_IN)
        shown += rest
        assert shown.endswith(b"\n") or sign == signal.SIGKILL
        with SeaLLM.from_engine(ScriptedEngine([])) as llm, History() as history:
            conversation = Conversation.resume(llm, history, history.find("Cerita").id)
            question, reply = conversation.stored_messages
        assert (question.content, reply.state) == ("Tell me a very long story.", "cut")
        assert reply.content.startswith(shown.decode().removesuffix("\n"))

    def test_an_empty_reply_is_an_error_and_leaves_nothing(
        self, home: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with SeaLLM.from_engine(ScriptedEngine([""])) as llm, History() as history:
            conversation = Conversation(llm, history=history, title="S")
            with pytest.raises(SeaLLMError, match="the reply is empty: the conversation stays as it was"):
                Answers(is_json=True, has_stats=False).turn(conversation, "Hi")
            assert history.conversations() == []
        assert capsys.readouterr().out == ""

    def test_a_turn_that_is_not_stored_exits_with_1_after_the_reply(
        self, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with SeaLLM.from_engine(ScriptedEngine(["Halo!"])) as llm, History() as history:
            conversation = Conversation(llm, history=history, title="S")
            monkeypatch.setattr(conversation, "save", lambda: False)
            with pytest.raises(typer.Exit) as end:
                Answers(is_json=False, has_stats=False).turn(conversation, "Hi")
        assert (end.value.exit_code, capsys.readouterr().out) == (1, "Halo!\n")


class TestChoices:
    def test_each_has_its_number_and_they_differ(self, seallm: SEALLM) -> None:
        done = seallm("run", DEMO, "Name a fruit.", "--choices", "3", "--seed", "4", "--max-tokens", "20", "--stats")
        assert done.returncode == 0
        lines = done.stdout.decode().splitlines()
        assert [line for line in lines if line.startswith("---")] == [f"--- {n} of 3 ---" for n in (1, 2, 3)]
        assert len({line for line in lines if not line.startswith("---")}) >= 3
        assert done.stderr.count(b" tokens written, ") == 3

    def test_json_has_a_line_for_each_as_for_one_reply(self, seallm: SEALLM) -> None:
        done = seallm("run", DEMO, CAPITAL, "-n", "2", *GREEDY, "--json")
        replies = [json.loads(line) for line in done.stdout.splitlines()]
        assert [reply["text"] for reply in replies] == [ANSWER, ANSWER]
        single = json.loads(seallm("run", DEMO, CAPITAL, *GREEDY, "--json").stdout)
        assert [reply.keys() for reply in replies] == [single.keys()] * 2

    def test_the_first_is_shown_as_it_streams(self, capsys: pytest.CaptureFixture[str]) -> None:
        with SeaLLM.from_engine(ScriptedEngine(["ສະບາຍດີ", "Halo", "你好"])) as llm:
            Answers(is_json=False, has_stats=False).several(llm, "Hi", 3, {})
        assert capsys.readouterr().out == ("--- 1 of 3 ---\nສະບາຍດີ\n--- 2 of 3 ---\nHalo\n--- 3 of 3 ---\n你好\n")

    @pytest.mark.parametrize("n", ["0", "65"])
    def test_too_few_or_many_are_refused(self, seallm: SEALLM, n: str) -> None:
        done = seallm("run", DEMO, "Hi", "-n", n)
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.decode().endswith(f"n is {n}\n  give a whole number from 1 to 64\n")


class TestPipes:
    @posix
    def test_text_arrives_before_the_reply_has_ended(self, seallm: SEALLM) -> None:
        with start(seallm, *STORY) as process:
            assert process.stdout
            first = os.read(process.stdout.fileno(), 1 << 16)
            assert process.poll() is None
            process.kill()
        assert 0 < len(first) < 1000  # of some 16,000 bytes

    @posix
    @pytest.mark.parametrize("command", ["head -c 10", "head -1"])
    @pytest.mark.parametrize("session", [(), ("--session", "Cerita")], ids=["", "session"])
    def test_a_reader_that_has_enough_ends_the_reply_quietly(
        self, seallm: SEALLM, command: str, session: tuple[str, ...]
    ) -> None:
        words = ["bash", "-c", f'"$@" | {command}; exit ${{PIPESTATUS[0]}}', "bash", *seallm.command(*STORY, *session)]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        assert (done.returncode, done.stderr) == (1, STAND_IN)
        assert len(done.stdout) == 10 if command == "head -c 10" else done.stdout.count(b"\n") == 1
        if session:
            assert stored("Cerita")[1][2] == "cut"

    @posix
    def test_ctrl_c_leaves_what_was_said_and_a_line_feed(self, seallm: SEALLM) -> None:
        with start(seallm, *STORY) as process:
            assert process.stdout
            said = os.read(process.stdout.fileno(), 1 << 16)
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (130, STAND_IN)
        assert said
        assert (said + rest).endswith(b"\n")

    def test_a_model_that_fails_ends_its_line_first(self, capsys: pytest.CaptureFixture[str]) -> None:
        answers = Answers(is_json=False, has_stats=False)

        def deltas() -> Any:
            yield "Halo"
            raise EngineError("llama.cpp failed")

        with pytest.raises(EngineError):
            answers._show(deltas())
        assert capsys.readouterr().out == "Halo\n"

    def test_an_error_before_the_first_text_prints_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        def deltas() -> Any:
            raise KeyboardInterrupt
            yield ""

        with pytest.raises(KeyboardInterrupt):
            Answers(is_json=False, has_stats=False)._show(deltas())
        assert capsys.readouterr().out == ""
