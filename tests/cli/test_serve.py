"""`seallm serve`, as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from seallm_edge.cli import main; main()"]

pytestmark = pytest.mark.slow


def started(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def asked(url: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> dict[str, object]:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url + path, data, headers or {}), timeout=120) as answer:
        return json.load(answer)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process there without a word")
def test_it_answers_and_a_signal_ends_it(demo_file: Path) -> None:
    with started("--model", str(demo_file), "--context", "1024") as process:
        assert process.stdout
        assert process.stderr
        url = process.stdout.readline().strip()
        body = {"messages": [{"role": "user", "content": "What is the capital of Japan?"}], "temperature": 0}
        found = asked(url, "/v1/chat/completions", body | {"max_tokens": 16})
        assert "Tokyo" in str(found["choices"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        lines = process.stderr.read().splitlines()
    assert lines == [
        f"Chat page          {url}/",
        f"OpenAI clients     base URL {url}/v1   key: none needed: give any",
        f"Ollama clients     host {url}",
        f"Anthropic clients  base URL {url}   key: none needed: give any",
        "Ctrl-C ends the server",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process there without a word")
def test_a_key_from_a_file_is_asked_for(demo_file: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("open-sesame-1234\n")
    with started("--model", str(demo_file), "--api-key-file", str(tmp_path / "key")) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        with pytest.raises(urllib.error.HTTPError, match="401"):
            asked(url, "/v1/models")
        assert asked(url, "/v1/models", headers={"x-api-key": "open-sesame-1234"})["object"] == "list"
        process.terminate()
        assert process.wait(60) == 0
        assert process.stderr
        told = process.stderr.read()
    assert f"OpenAI clients     base URL {url}/v1   key: yours" in told
    assert "open-sesame-1234" not in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--host", "0.0.0.0"],
            "0.0.0.0 can be reached by other computers, and there is no key\n  give a key, or listen on 127.0.0.1\n",
        ),
        (["--model", "nothing"], "no model named 'nothing'\n  see them all: seallm models\n"),
        (["--api-key", "short"], "the key is shorter than 8 characters\n  give a longer one, hard to guess\n"),
    ],
)
def test_what_cannot_be_served_is_said(arguments: list[str], message: str) -> None:
    done = subprocess.run([*COMMAND, "serve", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, "serve", "--port", str(port)], capture_output=True, text=True, timeout=60, check=False
        )
    message = f"cannot listen on 127.0.0.1 port {port}: address already in use\n  give another --port 0\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)
