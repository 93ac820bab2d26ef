"""`seallm share` as a process of its own, ended by Ctrl-C."""

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pexpect
import pytest

from support.stores import write_model


@pytest.mark.skipif(os.name != "posix", reason="pexpect")
def test_share_prints_the_command_and_a_line_for_each_transfer_and_ends_by_ctrl_c(tmp_path: Path, seallm: Any) -> None:
    model = write_model(tmp_path / "mine.gguf")
    words = seallm.command("share", model, "--port", "0")
    with pexpect.spawn(words[0], words[1:], encoding="utf-8", timeout=60, dimensions=(24, 200)) as child:
        child.expect(r"seallm pull --gguf local/mine:mine\.gguf --endpoint http://127\.0\.0\.1:(\d+)\r\n")
        address = f"http://127.0.0.1:{child.match[1]}"
        child.expect(f"sharing at {address}; Ctrl-C ends it\r\n")
        with urllib.request.urlopen(f"{address}/local/mine/resolve/main/mine.gguf") as answer:
            assert answer.read() == model.read_bytes()
        child.expect(rf"127\.0\.0\.1  mine\.gguf  {model.stat().st_size / 1e6:.2f} MB in [\d.]+ s\r\n")
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()
        assert (child.exitstatus, child.signalstatus) == (130, None)
        assert "Traceback" not in child.before


@pytest.mark.skipif(sys.platform == "win32", reason="terminate ends it at once")
def test_share_for_others_prints_its_fingerprint(tmp_path: Path, seallm: Any) -> None:
    model = write_model(tmp_path / "mine.gguf")
    with subprocess.Popen(
        seallm.command("share", model, "--host", "127.0.0.1", "--port", "0"), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        process.terminate()
    mark = "-".join(["[a-z2-7]{4}"] * 5)
    assert re.fullmatch(rf"seallm pull --gguf local/mine:mine\.gguf --endpoint https://127\.0\.0\.1:\d+#{mark}\n", line)


@pytest.mark.skipif(sys.platform == "win32", reason="terminate ends it at once")
def test_damaged_model_is_named_and_the_others_are_shared(home: Path, seallm: Any) -> None:
    write_model(home / "models" / "mine.gguf")
    (home / "models" / "empty.gguf").touch()
    with subprocess.Popen(
        seallm.command("share", "--port", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stderr.readline() == "not shared: empty.gguf: the file is empty\n"
        lines = [process.stdout.readline() for _ in range(2)]
        process.terminate()
    assert [re.findall("--gguf ([^ :]+)", line) for line in lines] == [
        ["local/mine"], ["HuggingFaceTB/SmolLM2-135M-Instruct"],
    ]  # fmt: skip


def test_bad_rate_is_an_error(seallm: Any) -> None:
    done = seallm("share", "--limit-rate", "fast")
    assert (done.returncode, done.stderr.decode()) == (
        1, "'fast' is no rate\n  give one such as 300K or 2M, in bytes a second\n",
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="terminate ends it at once")
def test_name_that_a_shell_would_split_is_quoted(tmp_path: Path, seallm: Any) -> None:
    model = write_model(tmp_path / "my model (v2).gguf")
    with subprocess.Popen(seallm.command("share", model, "--port", "0"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        process.terminate()
    assert line.startswith('seallm pull --gguf "local/my-model-v2:my model (v2).gguf" --endpoint http://127.0.0.1:')
