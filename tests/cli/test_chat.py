"""`seallm chat` over a pipe."""

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
    assert (result.returncode, result.stdout.decode()) == (0, f"{ANSWER}\n{ANSWER}\n")


def test_lines_belong_to_one_conversation(seallm) -> None:
    alone = seallm("chat", DEMO, *GREEDY, stdin=b"And what did I ask before?\n").stdout.decode()
    after = seallm("chat", DEMO, *GREEDY, stdin=f"{CAPITAL}\nAnd what did I ask before?\n".encode()).stdout.decode()
    assert "Japan" not in alone
    first, second = after.split("\n", 1)
    assert first == ANSWER
    assert "Japan" in second


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


def test_a_conversation_is_kept_on_disk_unless_told_not_to(seallm, home) -> None:
    seallm("chat", DEMO, *GREEDY, "--no-snapshots", stdin=f"{CAPITAL} {'Think well. ' * 30}".encode())
    assert list(home.rglob("*.kv")) == []
    seallm("chat", DEMO, *GREEDY, stdin=f"{CAPITAL} {'Think well. ' * 30}".encode())
    assert len(list(home.rglob("*.kv"))) == 1
