"""Downloads killed at any moment: the same call resumes, and hardly a byte is served twice."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.files.record_file import partial_path

NAME = "SeaLLMs/large"
FILE = "model.safetensors"
SIZE = 20_000_000
LOADED = """
import sys
from pathlib import Path
from seallm_edge.hub import download, open_repository
repository = open_repository("SeaLLMs/large")
source = repository.source(repository.files["model.safetensors"])
print("begins", flush=True)
print(download(source, Path(sys.argv[1])))
"""


@pytest.fixture
def content(hub: Any, tmp_path: Path) -> bytes:
    """The bytes of a file of 20 MB on the hub."""
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / FILE).write_bytes(content := random.Random(3).randbytes(SIZE))
    hub.add_repository(NAME, folder)
    return content


@pytest.fixture
def begun(tmp_path: Path) -> Callable[[], subprocess.Popen[str]]:
    """Starts a process that downloads the file."""

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", LOADED, str(tmp_path / FILE)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "begins\n"
        return process

    return start


def check(process: subprocess.Popen[str], content: bytes, out: Path) -> None:
    found, told = process.communicate()
    assert (process.returncode, told) == (0, "")
    assert found == f"{hashlib.sha256(content).hexdigest()}\n"
    assert out.read_bytes() == content


def test_one_kill_costs_less_than_two_hundredths(
    hub: Any, content: bytes, begun: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    hub.bytes_per_second = 1e6
    process, out = begun(), tmp_path / FILE
    while not partial_path(out).exists() or partial_path(out).stat().st_size < 1_500_000:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    hub.bytes_per_second = 0
    check(begun(), content, out)
    assert hub.sent[FILE] <= 1.02 * SIZE


def test_twenty_kills_end_in_the_same_bytes(
    hub: Any, content: bytes, begun: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    hub.bytes_per_second = 4e6
    chance = random.Random(7)
    for _ in range(20):
        process = begun()
        time.sleep(chance.uniform(0, 0.4))
        process.kill()
        process.communicate()
    hub.bytes_per_second = 0
    check(begun(), content, tmp_path / FILE)
    assert hub.sent[FILE] <= 1.4 * SIZE
