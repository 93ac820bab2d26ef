"""Models in the store: tiny GGUF files of different contents."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from seallm_edge import paths
from seallm_edge.store import Installed, add
from support.gguf_files import write_gguf_file


def digits(path: Path) -> str:
    """sha256 of a file, by hashlib."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def arrived(home: Path) -> Callable[..., Path]:
    """Writes a finished GGUF to the folder of unfinished things; the content is by `title`."""

    def write(name: str = "tiny.gguf", title: str = "Tiny") -> Path:
        return write_gguf_file(paths.incoming_dir() / name, change={"general.name": ("string", title)})

    return write


@pytest.fixture
def added(arrived: Callable[..., Path]) -> Callable[..., Installed]:
    """Adds a GGUF to the store as if it came from a hub."""

    def put(name: str = "tiny.gguf", title: str = "Tiny") -> Installed:
        file = arrived(name, title)
        return add([file], origin="hf:a/b@c", license="seallms: link", sha256s={name: digits(file)})

    return put


@pytest.fixture
def by_hand(home: Path) -> Callable[..., Path]:
    """Puts a GGUF into the models folder, as users do."""

    def put(name: str = "own.gguf", title: str = "Own") -> Path:
        return write_gguf_file(paths.models_dir() / name, change={"general.name": ("string", title)})

    return put
