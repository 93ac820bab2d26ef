"""A repository on the loopback hub: random weights of 300,000 bytes, small files, and short timeouts."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import HubError
from seallm_edge.hub import FileStream, Network, Patience, RemoteSource, Repository, open_repository
from support.loopback_hub import LoopbackHub
from support.tunnel import Tunnel

NAME = "SeaLLMs/tiny"
LARGE = "model.safetensors"
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


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM of a fresh key and its own certificate for 127.0.0.1 and hub.test."""
    folder = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=loopback"
    files = ["-keyout", folder / "key", "-out", folder / "certificate"]
    command = ["openssl", *words.split(), "-addext", "subjectAltName=IP:127.0.0.1,DNS:hub.test", *files]
    subprocess.run(command, check=True, capture_output=True)
    path = folder / "both.pem"
    path.write_bytes((folder / "key").read_bytes() + (folder / "certificate").read_bytes())
    return path


@pytest.fixture
def https_hub(hub, certificate: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """A hub with encryption, whose storage has none."""
    served = LoopbackHub(certificate)
    served.add_repository(NAME, folder)
    monkeypatch.setenv("HF_ENDPOINT", served.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    yield served
    served.close()


@pytest.fixture
def tunnel() -> Iterator[Tunnel]:
    """A proxy."""
    served = Tunnel()
    yield served
    served.close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the file shall be, in a folder that does not exist yet."""
    return tmp_path / "incoming" / LARGE


@pytest.fixture
def source(opened: Callable[..., Repository]) -> RemoteSource:
    repository = opened()
    return repository.source(repository.files[LARGE])
