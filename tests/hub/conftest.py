"""A repository on the loopback hub: random weights of 300,000 bytes, small files, and short timeouts."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import HubError
from seallm_edge.hub import FileStream, Network, Patience, Repository, open_repository

NAME = "SeaLLMs/tiny"
WEIGHTS = random.Random(5).randbytes(300_000)
SMALL = {"config.json": b'{"model_type": "qwen2"}', "tokenizer.json": random.Random(6).randbytes(40_000), "empty": b""}


@pytest.fixture
def weights() -> bytes:
    return WEIGHTS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    for name, content in SMALL.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def told() -> list[str]:
    """What `on_trouble` was told."""
    return []


@pytest.fixture
def opened(hub, folder: Path, told: list[str]) -> Callable[..., Repository]:
    """Opens the repository: three tries without a wait, each ending after two silent seconds."""

    def open_it(**patience: Any) -> Repository:
        hub.add_repository(NAME, folder)
        few = {"stall_seconds": 2, "retries": 3, "first_wait": 0, "longest_wait": 0} | patience
        return open_repository(NAME, Network(patience=Patience(**few), on_trouble=told.append))

    return open_it


@pytest.fixture
def read_on() -> Callable[..., bytes]:
    """Reads the next `n` bytes of a stream, some at a time."""

    def read(stream: FileStream, n: int, step: int = 7_001) -> bytes:
        data = bytearray(n)
        for start in range(0, n, step):
            stream.readinto(memoryview(data)[start : start + step])
        return bytes(data)

    return read


@pytest.fixture
def whole(read_on: Callable[..., bytes]) -> Callable[..., bytes]:
    """Streams a file of a repository, the weights if no other is named, and finishes it."""

    def read(repository: Repository, name: str = "model.safetensors") -> bytes:
        with repository.stream(repository.files[name]) as stream:
            data = read_on(stream, repository.files[name].size)
            stream.finish()
        return data

    return read


@pytest.fixture
def refusal(whole: Callable[..., bytes]) -> Callable[[Repository], str]:
    """The message with which the streaming of the weights ends."""

    def message(repository: Repository) -> str:
        with pytest.raises(HubError) as caught:
            whole(repository)
        return caught.value.message

    return message
