"""Checks of an output: damage is found before the final rename; a full check reports quantization errors."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.convert import convert
from seallm_edge.convert.run import Options, run
from seallm_edge.convert.tasks import checkpoint_task, named_recipe
from seallm_edge.convert.writing.writer import Output
from seallm_edge.errors import ConversionError, InvalidOption

pytestmark = pytest.mark.slow


Checkpoints = Callable[..., Any]


@pytest.fixture
def source(checkpoint: Checkpoints) -> Path:
    """A checkpoint of one layer: every tensor of it is sampled."""
    folder: Path = checkpoint(layers=1, vocab=600).path
    return folder


def test_a_full_check_reports_every_tensors_error(source: Path, tmp_path: Path) -> None:
    out = convert(source, tmp_path / "out.gguf", "Q4_K_M", verify="full")
    report = json.loads((tmp_path / "out.report.json").read_text())
    errors = {tensor["name"]: tensor["relative_rmse"] for tensor in report["tensors"]}
    assert report["name"] == "tiny"
    assert report["source"] == str(source)
    assert list(report["sha256"]) == [out.name]
    assert errors["blk.0.attn_norm.weight"] == 0.0
    assert 0.004 < errors["token_embd.weight"] < 0.02  # Q6_K
    assert 0.04 < errors["blk.0.attn_q.weight"] < 0.08  # Q4_K


def test_errors_are_those_of_an_independent_reader(source: Path, tmp_path: Path) -> None:
    import gguf
    import numpy as np

    paths = {name: convert(source, tmp_path / f"{name}.gguf", name, verify="full") for name in ("F32", "Q5_0")}
    exact, stored = (
        {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}
        for path in paths.values()
    )
    report = json.loads((tmp_path / "Q5_0.report.json").read_text())
    for tensor in report["tensors"]:
        name = tensor["name"]
        error, square = ((stored[name] - exact[name]) ** 2).sum(), (exact[name] ** 2).sum()
        assert tensor["relative_rmse"] == pytest.approx(float(np.sqrt(error / square)), rel=1e-3), name


def test_the_report_of_a_resumed_conversion_is_that_of_an_undisturbed_one(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(source, tmp_path / "out.gguf", "Q4_0", verify="full", threads=1)
    undisturbed = (tmp_path / "out.report.json").read_bytes()
    (tmp_path / "out.gguf").unlink()
    writes: list[int] = []
    real = Output.write

    def write(output: Output, part: int, offset: int, data: memoryview) -> None:
        writes.append(offset)
        if len(writes) == 9:
            raise KeyboardInterrupt
        real(output, part, offset, data)

    with monkeypatch.context() as patch:
        patch.setattr(Output, "write", write)
        with pytest.raises(KeyboardInterrupt):
            convert(source, tmp_path / "out.gguf", "Q4_0", verify="full", threads=1)
    convert(source, tmp_path / "out.gguf", "Q4_0", verify="full", threads=1)
    assert (tmp_path / "out.report.json").read_bytes() == undisturbed


def test_a_full_check_shows_the_worst_tensors_first(source: Path, tmp_path: Path, seallm: Any) -> None:
    finished = seallm("convert", source, "-o", tmp_path / "out.gguf", "--verify", "full")
    lines = finished.stdout.decode().splitlines()
    shares = [float(line.split()[-1].rstrip("%")) for line in lines[3:-1]]
    assert lines[2].split() == ["tensor", "type", "shape", "error"]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 12


@pytest.mark.parametrize("verify", ["quick", "full"])
def test_weights_that_were_damaged_on_the_disk_are_noticed(
    verify: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Output.write

    def write(output: Output, part: int, offset: int, data: memoryview) -> None:
        is_norm = len(data) == 1024
        real(output, part, offset, memoryview(bytes(data[1:]) + b"\x00") if is_norm else data)

    monkeypatch.setattr(Output, "write", write)
    with pytest.raises(
        ConversionError, match=r"the GGUF came out damaged: row 0 of .* is too far from its source for F32"
    ):
        convert(source, tmp_path / "out.gguf", verify=verify)
    assert not (tmp_path / "out.gguf").exists()


def test_a_header_that_was_damaged_on_the_disk_is_noticed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Output.write

    def write(output: Output, part: int, offset: int, data: memoryview) -> None:
        real(output, part, offset, data)
        real(output, part, 40, memoryview(b"\xff"))

    monkeypatch.setattr(Output, "write", write)
    with pytest.raises(ConversionError, match=r"^the GGUF came out damaged: "):
        convert(source, tmp_path / "out.gguf")


def test_tokens_that_are_not_the_tokenizers_are_noticed(checkpoint: Checkpoints, tmp_path: Path) -> None:
    task = checkpoint_task(checkpoint().path, [named_recipe("Q8_0")], tmp_path / "out.gguf")
    other = checkpoint("other")
    other.edit("tokenizer.json", lambda content: content["model"].update(merges=["a n", "t h"]))
    source = replace(task.source, tokenizer=(other.path / "tokenizer.json").read_bytes())
    with pytest.raises(ConversionError, match=r"^the tokenizer came out wrong: token "):
        run(replace(task, source=source), Options())
    assert not (tmp_path / "out.gguf").exists()


def test_without_checks_nothing_is_checked(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seallm_edge.convert.checking.checks.read_header", lambda _: pytest.fail("it checked"))
    assert convert(source, tmp_path / "out.gguf", verify="none").exists()


def test_an_unknown_check_gets_the_nearest_name(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption) as caught:
        convert(source, tmp_path / "out.gguf", verify="ful")
    assert str(caught.value) == "unknown check 'ful'; did you mean 'full'?\n  the checks are none, quick, full"
