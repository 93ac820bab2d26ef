"""Conversion reports: contents and path."""

import json
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.convert.checking.report import Report, TensorError, recorded_hashes
from seallm_edge.errors import ConversionError, ModelFileError
from seallm_edge.files.companions import report_of


def report(**changes: Any) -> Report:
    tensors = (
        TensorError("token_embd.weight", "Q4_K", (288, 256), 0.49, 100.0),
        TensorError("blk.0.attn_norm.weight", "F32", (256,), 0.0, 0.0),
        TensorError("output.weight", "Q6_K", (8, 512), 1.0, 10_000.0),
    )
    facts: dict[str, Any] = {
        "name": "tiny",
        "type_name": "Q4_K_M",
        "source": "folder",
        "sha256": {},
        "tensors": tensors,
    }
    return Report(**{**facts, **changes})


def test_a_reports_table_has_the_worst_tensors_first() -> None:
    assert report().table(2) == (
        "tensor             type  shape         error\n"
        "token_embd.weight  Q4_K  288 x 256     7.00%\n"
        "output.weight      Q6_K  8 x 512       1.00%"
    )


def test_a_report_tells_types_bytes_and_errors(tmp_path: Path) -> None:
    report(sha256={"t.gguf": "0" * 64}, text="ស្រូវ", checks=("tokens",)).write(tmp_path / "t.report.json")
    text = (tmp_path / "t.report.json").read_text(encoding="utf-8")
    assert "ស្រូវ" in text
    written = json.loads(text)
    versions = [written.pop("converter"), written.pop("llama.cpp")]
    assert [words.split()[0] for words in versions] == ["seallm-edge", "llama-cpp-python"]
    assert written == {
        "name": "tiny",
        "type": "Q4_K_M",
        "source": "folder",
        "sha256": {"t.gguf": "0" * 64},
        "checks": ["tokens"],
        "text": "ស្រូវ",
        "totals": {"tensors": 3, "weights": 78_080, "bytes": 45_856, "relative_rmse": 0.012146},
        "tensors": [
            {
                "name": "token_embd.weight",
                "type": "Q4_K",
                "shape": [288, 256],
                "bytes": 41_472,
                "relative_rmse": 0.07,
            },
            {"name": "blk.0.attn_norm.weight", "type": "F32", "shape": [256], "bytes": 1024, "relative_rmse": 0.0},
            {"name": "output.weight", "type": "Q6_K", "shape": [8, 512], "bytes": 3360, "relative_rmse": 0.01},
        ],
    }
    assert list(tmp_path.iterdir()) == [tmp_path / "t.report.json"]


def test_an_infinite_error_is_null(tmp_path: Path) -> None:
    report(tensors=[TensorError("a", "F16", (1, 32), 1.0, 0.0)]).write(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["tensors"][0]["relative_rmse"] is None


def test_a_report_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "report.json"
    with pytest.raises(ConversionError) as caught:
        report().write(path)
    assert caught.value.message == f"cannot write {path}: No such file or directory"


@pytest.mark.parametrize(
    ("model_name", "report_name"),
    [
        ("a-Q4_K_M.gguf", "a-Q4_K_M.report.json"),
        ("a-00001-of-00003.gguf", "a.report.json"),
        ("SeaLLMs-v3-1.5B", "SeaLLMs-v3-1.5B.report.json"),
    ],
)
def test_a_report_is_named_after_its_model(model_name: str, report_name: str) -> None:
    assert report_of(Path("folder") / model_name) == Path("folder") / report_name


@pytest.mark.parametrize("content", ["", "[]", '{"sha256": {"a": 1}}', '{"sha256": {"a": "short"}}', '{"name": "a"}'])
def test_what_is_no_report_tells_no_hashes(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.report.json").write_text(content)
    with pytest.raises(ModelFileError) as caught:
        recorded_hashes(tmp_path / "a.report.json")
    assert str(caught.value) == "a.report.json: is no report of a conversion\n  remove it, or convert again"
