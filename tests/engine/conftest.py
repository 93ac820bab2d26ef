"""The tiny model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from seallm_edge import SeaLLM
from support.tiny_model import write_tiny


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's file."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    write_tiny(path)
    return path


@pytest.fixture
def tiny(tiny_file: Path) -> Iterator[SeaLLM]:
    """The tiny model, loaded."""
    with SeaLLM(tiny_file, context=1024, drafting="off") as llm:
        yield llm
