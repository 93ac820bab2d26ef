"""`seallm verify` as a process of its own."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seallm_edge.convert import convert
from seallm_edge.gguf_file import read_header

Checkpoints = Callable[..., Any]


@pytest.fixture
def model(checkpoint: Checkpoints, tmp_path: Path) -> Path:
    """A tiny model."""
    return convert(checkpoint().path, tmp_path / "tiny.gguf", "Q8_0", verify="none")


def test_each_check_is_a_line(model: Path, seallm: Any) -> None:
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    model.with_name("tiny.gguf.sha256").write_text(f"{digest}  tiny.gguf\n")
    finished = seallm("verify", model)
    assert (finished.returncode, finished.stderr) == (0, b"")
    lines = finished.stdout.decode().splitlines()
    assert lines[:-1] == [
        "header   qwen2, Q8_0, 26 tensors, 1.35 MB",
        "weights  1,255,680 numbers, and none that is not finite",
        f"sha256   {digest}  tiny.gguf, as in tiny.gguf.sha256",
        "tokens   24 texts in 12 languages come back as they were",
    ]
    assert re.fullmatch(r"trial    Rice is grown in.* … \([\d.]+ [MG]B of memory, \d+\.\d s\)", lines[-1])


def test_the_first_check_that_fails_is_the_error(model: Path, seallm: Any) -> None:
    down = next(tensor for tensor in read_header(model).tensors if tensor.name == "blk.1.ffn_down.weight")
    with model.open("r+b") as file:
        file.seek(down.offset + 34 * 5)
        file.write(np.float16("nan").tobytes())
    finished = seallm("verify", model)
    assert (finished.returncode, finished.stdout) == (1, b"header   qwen2, Q8_0, 26 tensors, 1.35 MB\n")
    assert finished.stderr.decode().splitlines()[-2:] == [
        "tiny.gguf: tensor 'blk.1.ffn_down.weight' holds a scale that is not finite",
        "  copy or download the file again, or convert it again",
    ]


def test_a_missing_file_is_an_error(tmp_path: Path, seallm: Any) -> None:
    finished = seallm("verify", tmp_path / "no.gguf")
    assert (finished.returncode, finished.stdout) == (1, b"")
    missing = tmp_path / "no.gguf"
    assert finished.stderr.decode() == f"no such file: {missing}\n  check the path, or name a model: seallm models\n"


def test_the_demo_model_is_whole(demo_file: Path, seallm: Any) -> None:
    assert seallm("verify", demo_file).returncode == 0


@pytest.mark.parametrize("name", ["mô hình ๑.gguf", "two  spaces.gguf", "-dash.gguf"])
def test_a_model_may_have_any_name(model: Path, name: str, seallm: Any) -> None:
    path = model.rename(model.with_name(name))
    assert seallm("verify", "--", path.name, cwd=path.parent).returncode == 0
