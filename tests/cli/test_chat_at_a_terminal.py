"""`seallm chat` on a real terminal."""

import re
import sys

import pytest

pexpect = pytest.importorskip("pexpect")

DEMO = "smollm2-135m-instruct"
CAPITAL = "What is the capital of Japan?"
GREEDY = ("--temperature", "0", "--max-tokens", "24", "--context", "1024")
ANSWER = "The capital of Japan is Tokyo."


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
        child.send("/retry\r")
        child.expect("there is no message to answer yet")
        child.send("/help\r")
        child.expect("/system TEXT")
        child.send(f"{CAPITAL}\r")
        child.expect(re.escape(ANSWER))
        child.send("/retry\r")
        child.expect(re.escape(ANSWER))
        child.send("/stats\r")
        child.expect("7 tokens, 30 characters of English written")
        child.send("/new\r")
        child.expect("a new conversation")
        child.send("/nonsense\r")
        child.expect("no command /nonsense\r\n  /help lists them")
        child.send("/rerty\r")
        child.expect("no command /rerty; did you mean '/retry'\\?")
        child.send("/bye\r")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0

    def test_burmese_and_khmer_are_shown_as_typed(self, seallm) -> None:
        child = self.start(seallm)
        for text in ("မင်္ဂလာပါ", "ជំរាបសួរ"):
            child.send(text)
            child.expect(text)
        child.sendintr()  # clears the line
        child.sendeof()
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

    def test_a_second_ctrl_c_at_the_prompt_leaves_with_130(self, seallm) -> None:
        child = self.start(seallm)
        child.sendintr()
        child.expect("Ctrl-C again, or Ctrl-D, leaves")
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 130
