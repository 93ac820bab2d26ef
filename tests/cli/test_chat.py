"""`seallm chat`: over a pipe, and on a real terminal."""

import re
import shlex
import subprocess
import sys

import pytest

DEMO = "smollm2-135m-instruct"
CAPITAL = "What is the capital of Japan?"
GREEDY = ("--temperature", "0", "--max-tokens", "24", "--context", "1024")
ANSWER = "The capital of Japan is Tokyo."


def test_each_line_of_piped_input_is_one_message(seallm) -> None:
    result = seallm("chat", DEMO, *GREEDY, stdin=f"{CAPITAL}\n\n{CAPITAL}".encode())
    lines = result.stdout.decode().splitlines()
    assert result.returncode == 0
    assert lines[0] == ANSWER
    assert len(lines) > 1


def test_lines_belong_to_one_conversation(seallm) -> None:
    alone = seallm("chat", DEMO, *GREEDY, stdin=b"And what did I ask before?\n").stdout
    after = seallm("chat", DEMO, *GREEDY, stdin=f"{CAPITAL}\nAnd what did I ask before?\n".encode()).stdout
    assert after.decode().split("\n", 1)[1] != alone.decode()


@pytest.mark.parametrize("stdin", [b"", None])
def test_no_input_is_no_error(seallm, stdin: bytes | None) -> None:
    result = seallm("chat", DEMO, *GREEDY, stdin=stdin)
    assert (result.returncode, result.stdout) == (0, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
@pytest.mark.parametrize(("command", "code"), [(("chat", DEMO), 0), (("run", DEMO), 1)])
def test_a_closed_standard_input_is_an_empty_one(seallm, command: tuple[str, ...], code: int) -> None:
    line = f"exec {shlex.join(seallm.command(*command, '--context', '512'))} <&-"
    result = subprocess.run(["sh", "-c", line], capture_output=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (code, b"")
    assert b"Traceback" not in result.stderr


def test_a_line_that_is_not_utf8_ends_it_with_its_number_after_the_answers_before(seallm) -> None:
    result = seallm("chat", DEMO, *GREEDY, stdin=f"{CAPITAL}\n".encode() + b"caf\xe9\n")
    assert (result.returncode, result.stdout.decode()) == (1, f"{ANSWER}\n")
    assert b"standard input is not UTF-8: line 2 has the byte 0xe9" in result.stderr


def test_without_a_name_it_takes_what_is_installed(seallm) -> None:
    assert seallm("chat", *GREEDY, stdin=f"{CAPITAL}\n".encode()).stdout.decode() == f"{ANSWER}\n"


pexpect = pytest.importorskip("pexpect")


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX terminal")
class TestAtATerminal:
    def start(self, seallm, *options: str):  # type: ignore[no-untyped-def]
        command, *arguments = seallm.command("chat", DEMO, *GREEDY, *options)
        child = pexpect.spawn(command, arguments, encoding="utf-8", timeout=60, dimensions=(30, 100))
        child.expect("/help lists the commands")
        child.expect("›")
        return child

    def leave(self, child) -> int:  # type: ignore[no-untyped-def]
        child.sendeof()
        child.expect(pexpect.EOF)
        child.close()
        return child.exitstatus

    def test_it_answers_and_leaves_at_the_end_of_input(self, seallm) -> None:
        child = self.start(seallm)
        child.send(f"{CAPITAL}\r")
        child.expect(re.escape(ANSWER))
        child.expect("›")
        assert self.leave(child) == 0

    def test_commands_do_what_help_says(self, seallm) -> None:
        child = self.start(seallm)
        child.send("/stats\r")
        child.expect("no answer yet")
        child.send("/again\r")
        child.expect("nothing to answer yet")
        child.send("/help\r")
        child.expect("/system TEXT")
        child.send(f"{CAPITAL}\r")
        child.expect(re.escape(ANSWER))
        child.send("/again\r")
        child.expect(re.escape(ANSWER))
        child.send("/stats\r")
        child.expect("7 tokens, 30 characters of English written")
        child.send("/new\r")
        child.expect("a new conversation")
        child.send("/nonsense\r")
        child.expect("no command /nonsense\r\n  /help lists them")
        child.send("/agian\r")
        child.expect("no command /agian; did you mean '/again'\\?")
        child.send("/bye\r")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0

    def test_burmese_and_khmer_are_shown_as_typed(self, seallm) -> None:
        child = self.start(seallm)
        for text in ("မင်္ဂလာပါ", "ជំរាបសួរ"):
            child.send(text)
            child.expect(text)
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()

    def test_ctrl_c_stops_a_reply_and_the_chat_goes_on(self, seallm) -> None:
        child = self.start(seallm, "--max-tokens", "2000", "--repeat-penalty", "1")
        child.send("Tell me a very long story.\r")
        child.expect("story.*\n.*[a-z]{3}")
        child.sendintr()
        child.expect("(stopped)")
        child.expect("›")
        assert self.leave(child) == 0

    def test_keys_typed_during_a_reply_wait_for_the_prompt(self, seallm) -> None:
        child = self.start(seallm, "--max-tokens", "60", "--repeat-penalty", "1")
        child.send("Tell me a very long story.\r")
        child.expect("story.*\n.*[a-z]{3}")
        child.send("/stats\r")
        reply = child.expect("characters of English written") and child.before
        assert "/stats" not in str(reply).partition("›")[0]
        child.expect("›")
        assert self.leave(child) == 0

    def test_ctrl_c_at_the_prompt_leaves_with_130(self, seallm) -> None:
        child = self.start(seallm)
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 130


def test_a_conversation_is_kept_on_disk_unless_told_not_to(seallm, home) -> None:
    seallm("chat", DEMO, *GREEDY, "--no-snapshots", stdin=f"{CAPITAL} {'Think well. ' * 30}".encode())
    assert list(home.rglob("*.kv")) == []
    seallm("chat", DEMO, *GREEDY, stdin=f"{CAPITAL} {'Think well. ' * 30}".encode())
    assert len(list(home.rglob("*.kv"))) == 1
