"""`seallm run` as a process of its own, with the demo model."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEMO = "smollm2-135m-instruct"
CAPITAL = "What is the capital of Japan?"
GREEDY = ("--temperature", "0", "--max-tokens", "24", "--context", "1024")
STAND_IN = b"SmolLM2-135M-Instruct: English stand-in for trying seallm-edge out; it is no SeaLLMs model\n"


def test_the_answer_goes_to_stdout_and_all_else_to_stderr(seallm) -> None:
    result = seallm("run", DEMO, CAPITAL, *GREEDY)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"The capital of Japan is Tokyo.\n", STAND_IN)


def test_the_prompt_may_come_from_standard_input(seallm) -> None:
    result = seallm("run", DEMO, *GREEDY, stdin=f"{CAPITAL}\n".encode())
    assert result.stdout == b"The capital of Japan is Tokyo.\n"


def test_arguments_come_before_standard_input(seallm) -> None:
    both = seallm("run", DEMO, "one", "two", *GREEDY, "--json", stdin=b"three\n")
    joined = seallm("run", DEMO, "one two\n\nthree", *GREEDY, "--json", stdin=None)
    assert json.loads(both.stdout)["text"] == json.loads(joined.stdout)["text"]


def test_json_holds_the_reply_and_its_figures(seallm) -> None:
    reply = json.loads(seallm("run", DEMO, CAPITAL, *GREEDY, "--json").stdout)
    assert reply["model"] == DEMO
    assert (reply["text"], reply["finish_reason"]) == ("The capital of Japan is Tokyo.", "stop")
    assert reply["usage"] == {
        "prompt_tokens": 37, "cached_tokens": 0, "reply_tokens": 7, "reply_characters": 30,
    }  # fmt: skip


def test_warnings_are_told_on_stderr(seallm) -> None:
    result = seallm("run", DEMO, "Hi", "--threads", "500", "--max-tokens", "1")
    assert result.returncode == 0
    assert b"500 threads share" in result.stderr


def test_stats_are_told_on_stderr(seallm) -> None:
    result = seallm("run", DEMO, CAPITAL, *GREEDY, "--stats")
    assert b"37 tokens read (0 of them cached) in " in result.stderr
    assert b"7 tokens written" in result.stderr


def test_stop_may_be_repeated(seallm) -> None:
    result = seallm("run", DEMO, CAPITAL, *GREEDY, "--stop", "nowhere", "--stop", " Tokyo")
    assert result.stdout == b"The capital of Japan is\n"


@pytest.mark.parametrize("stdin", [b"", b" \n", None])
def test_an_empty_prompt_is_refused(seallm, stdin: bytes | None) -> None:
    result = seallm("run", DEMO, stdin=stdin)
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.startswith(b"the prompt is empty\n  give one: seallm run MODEL")


def test_input_that_is_not_utf8_is_refused_with_its_line(seallm) -> None:
    result = seallm("run", DEMO, stdin="first\nxin chào".encode("cp1258"))
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.startswith(b"standard input is not UTF-8: line 2 has the byte 0xe0\n")


def test_a_byte_order_mark_is_no_part_of_the_prompt(seallm) -> None:
    marked = seallm("run", DEMO, *GREEDY, stdin=b"\xef\xbb\xbf" + CAPITAL.encode())
    assert marked.stdout == b"The capital of Japan is Tokyo.\n"


def test_a_prompt_too_long_is_refused_with_both_numbers(seallm) -> None:
    result = seallm("run", DEMO, "--context", "256", stdin="สวัสดี".encode() * 300)
    assert (result.returncode, result.stdout) == (1, b"")
    assert (
        b" tokens (Thai, 1,800 characters) but the context holds 256\n  shorten it, or give --context " in result.stderr
    )


def test_a_misspelt_model_is_named_with_the_nearest(seallm) -> None:
    result = seallm("run", "seallms-v3-7b-caht", "hi")
    assert result.returncode == 1
    assert result.stderr == (
        b"no model named 'seallms-v3-7b-caht'; did you mean 'seallms-v3-7b-chat'?\n  see them all: seallm models\n"
    )


def test_a_value_out_of_range_is_refused(seallm) -> None:
    result = seallm("run", DEMO, "hi", "--temperature", "-3")
    assert (result.returncode, result.stderr.splitlines()[1:]) == (
        1,
        [b"temperature is -3.0", b"  give a number from 0 to 100"],
    )


def test_a_misspelt_option_is_a_usage_error(seallm) -> None:
    result = seallm("run", DEMO, "hi", "--temprature", "1")
    assert result.returncode == 2
    assert b"--temperature" in result.stderr
    assert b"Traceback" not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_in_a_reply_exits_with_130(seallm) -> None:
    command = seallm.command("run", DEMO, "Tell me a very long story.", "--max-tokens", "4000", "--seed", "1")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.read(8)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, STAND_IN)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_while_a_long_prompt_is_read_exits_with_130_soon(seallm) -> None:
    command = seallm.command("run", DEMO, "--context", "8192")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(b"rice and fish " * 1900)
        process.stdin.close()
        errors = process.stderr.readline()  # it is loaded
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert (process.stdout.read() if process.stdout else b"", errors + process.stderr.read()) == (b"", STAND_IN)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_goes_away_ends_it_without_a_traceback(seallm) -> None:
    command = seallm.command("run", DEMO, "Tell me a very long story.", "--max-tokens", "200", "--seed", "1")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(4)
        process.stdout.close()
        assert process.stderr.read() == STAND_IN
        assert process.wait(timeout=60) == 1


def test_a_locale_without_unicode_makes_no_difference(seallm) -> None:
    plain = {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii"}
    result = seallm("run", "ไม่มี", "hi", env=plain)
    assert result.stderr.startswith("no model named 'ไม่มี'".encode())


def test_a_schema_is_a_file_or_the_schema_itself(seallm, tmp_path) -> None:
    schema = '{"type": "object", "properties": {"city": {"enum": ["Tokyo", "ပုဂံ"]}}, "required": ["city"]}'
    (tmp_path / "city.json").write_text(schema, encoding="utf-8")
    for given in (schema, tmp_path / "city.json"):
        result = seallm("run", DEMO, CAPITAL, *GREEDY, "--schema", given)
        assert (result.returncode, json.loads(result.stdout)) == (0, {"city": "Tokyo"})


def test_a_grammar_is_a_file(seallm, tmp_path) -> None:
    (tmp_path / "yes.gbnf").write_text('root ::= "yes" | "no"', encoding="utf-8")
    result = seallm("run", DEMO, "Is water wet?", *GREEDY, "--grammar", tmp_path / "yes.gbnf")
    assert result.stdout in (b"yes\n", b"no\n")


@pytest.mark.parametrize("option", ["--schema", "--grammar"])
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ('{"type": "null"}'.encode("utf-16"), b"f.txt is UTF-16, not UTF-8"),
        (b'{"title": "caf\xe9"}', b"f.txt is not UTF-8: line 1 has the byte 0xe9"),
        (b" " * (1 << 20) + b"{}", b"f.txt is larger than 1 MiB"),
    ],
)
def test_a_schema_or_grammar_file_that_is_no_text_is_named(
    seallm, tmp_path, option: str, data: bytes, problem: bytes
) -> None:
    (tmp_path / "f.txt").write_bytes(data)
    result = seallm("run", DEMO, "hello", option, tmp_path / "f.txt")
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr == problem + b"\n  give a text file, saved as UTF-8\n"


def test_a_byte_order_mark_is_no_part_of_a_schema(seallm, tmp_path) -> None:
    (tmp_path / "marked.json").write_bytes(b'\xef\xbb\xbf{"const": "Tokyo"}')
    assert seallm("run", DEMO, CAPITAL, *GREEDY, "--schema", tmp_path / "marked.json").stdout == b'"Tokyo"\n'


def test_standard_input_in_utf16_is_named(seallm) -> None:
    result = seallm("run", DEMO, stdin="xin chào\n".encode("utf-16"))
    assert (result.returncode, result.stderr) == (
        1,
        b"standard input is UTF-16, not UTF-8\n  convert it first, for instance: iconv -f UTF-16 -t UTF-8\n",
    )


def test_a_schema_or_grammar_that_is_none_is_refused_with_its_hint(seallm, tmp_path) -> None:
    (tmp_path / "bad.gbnf").write_text("root ::= other", encoding="utf-8")
    for options in (
        ("--schema", '{"type": "objekt"}'),
        ("--grammar", tmp_path / "bad.gbnf"),
        ("--schema", "none.json"),
    ):
        result = seallm("run", DEMO, "hello", *options)
        assert (result.returncode, result.stdout) == (1, b"")
        assert b"Traceback" not in result.stderr
        assert 1 <= len(result.stderr.removeprefix(STAND_IN).splitlines()) <= 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows gives arguments as UTF-16")
@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((b"caf\xe9",), b"PROMPT"),
        ((b"hi", b"--system", b"caf\xe9"), b"--system"),
        ((b"hi", b"--stop", b"a", b"--stop", b"caf\xe9"), b"--stop"),
        ((b"hi", b"--schema", b'{"const": "caf\xe9"}'), b"--schema"),
    ],
)
def test_an_argument_that_is_not_utf8_is_named(seallm, arguments: tuple[bytes, ...], name: bytes) -> None:
    words = [*map(os.fsencode, seallm.command("run", DEMO)), *arguments]
    result = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert (result.returncode, result.stdout, result.stderr) == (
        1,
        b"",
        b"the text of " + name + b" is not UTF-8: it has the byte 0xe9\n"
        b"  use a terminal that writes UTF-8, or give the prompt on standard input\n",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX locales")
def test_utf8_arguments_are_understood_in_a_locale_without_it(seallm) -> None:
    prompt = ("run", DEMO, "กรุงเทพ", "--stop", "ก", *GREEDY, "--json")
    legacy = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    usages = [json.loads(seallm(*prompt, stdin=None, env=env).stdout)["usage"] for env in (legacy, {})]
    assert usages[0] == usages[1]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_pipe_that_stays_open_beside_a_prompt_is_told_of(seallm) -> None:
    command = seallm.command("run", DEMO, CAPITAL, *GREEDY)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr
        assert process.stderr.readline() == b"reading standard input; end it with Ctrl-D, or give </dev/null\n"
        output, errors = process.communicate(timeout=60)  # closes the pipe
    assert (process.returncode, output, errors) == (0, b"The capital of Japan is Tokyo.\n", STAND_IN)


def test_a_context_too_small_is_answered_with_the_smallest_that_would_do(seallm) -> None:
    result = seallm("run", DEMO, "hi", "--context", "1")
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.endswith(b"shorten it, or give --context 512 (needs 11.77 MB more)\n")


def test_a_document_stands_before_the_prompt(seallm, tmp_path: Path) -> None:
    path = tmp_path / "cities.html"
    path.write_text("<html><body><p>The name of the ferry is Mekong Star.</p></body></html>", encoding="utf-8")
    done = seallm("run", DEMO, "--file", path, "What is the name of the ferry?", *GREEDY, "--repeat-penalty", "1")
    assert (done.returncode, done.stderr) == (0, STAND_IN)
    assert "Mekong Star" in done.stdout.decode()


def test_a_document_that_cannot_be_read_ends_it_before_the_model_is_loaded(seallm, tmp_path: Path) -> None:
    done = seallm("run", DEMO, "--file", tmp_path / "nowhere.txt", "Hi", *GREEDY)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == "nowhere.txt: cannot be read: there is no such file\n"
    (tmp_path / "x.txt").write_bytes("你好".encode("gb18030"))
    done = seallm("run", DEMO, "--file", tmp_path / "x.txt", "Hi", *GREEDY)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[1] == "  look at the candidates, and give --encoding Windows-874"
