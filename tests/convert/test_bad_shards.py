"""Damaged shards and indexes: missing, truncated or inconsistent ones are refused, and nothing is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.convert import convert
from seallm_edge.errors import CheckpointError

Checkpoints = Callable[..., Any]
Refusal = Callable[[Path], str]
Q_PROJ = "model.layers.0.self_attn.q_proj.weight"


def edit_header(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the JSON header of a safetensors file, leaving its data."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    changed = change(header)
    text = changed if isinstance(changed, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])


@pytest.mark.parametrize("indexed", [True, False])
def test_a_missing_shard(indexed: bool, checkpoint: Checkpoints, refusal: Refusal) -> None:
    folder = checkpoint(shards=3).path
    (folder / "model-00002-of-00003.safetensors").unlink()
    if not indexed:
        (folder / "model.safetensors.index.json").unlink()
    assert refusal(folder) == "tiny: the shard model-00002-of-00003.safetensors is missing"


@pytest.mark.slow
def test_shards_without_an_index_are_converted(checkpoint: Checkpoints, tmp_path: Path) -> None:
    folder = checkpoint(shards=3).path
    with_index = convert(folder, tmp_path / "with.gguf").read_bytes()
    (folder / "model.safetensors.index.json").unlink()
    assert convert(folder, tmp_path / "without.gguf").read_bytes() == with_index


@pytest.mark.parametrize("outside", ["../model.safetensors", "/etc/passwd", "a\\b", "..", "", 7, "C:x"])
def test_an_index_may_name_only_files_of_its_folder(outside: Any, checkpoint: Checkpoints, refusal: Refusal) -> None:
    made = checkpoint(shards=3)
    made.edit("model.safetensors.index.json", lambda index: index["weight_map"].update({Q_PROJ: outside}))
    problem = f"{Q_PROJ} is said to be in {outside!r}, which is no file of this folder"
    assert refusal(made.path) == f"model.safetensors.index.json: {problem}"


def test_an_index_that_contradicts_a_shard(checkpoint: Checkpoints, refusal: Refusal) -> None:
    made = checkpoint(shards=3)
    made.edit("model.safetensors.index.json", lambda index: index["weight_map"].pop(Q_PROJ) and None)
    name = "model-00001-of-00003.safetensors"
    assert refusal(made.path) == f"{name}: holds {Q_PROJ}, which model.safetensors.index.json does not say"
    made.edit("model.safetensors.index.json", lambda index: index["weight_map"].update({Q_PROJ: name, "more": name}))
    assert refusal(made.path) == f"{name}: lacks more, which model.safetensors.index.json says it holds"


def test_an_index_without_a_map(checkpoint: Checkpoints, refusal: Refusal) -> None:
    made = checkpoint(shards=3)
    made.edit("model.safetensors.index.json", lambda _: {"weight_map": []})
    assert refusal(made.path) == "model.safetensors.index.json: has no weight_map"


def test_a_tensor_in_two_shards(checkpoint: Checkpoints, refusal: Refusal) -> None:
    folder = checkpoint(shards=3).path
    (folder / "model.safetensors.index.json").unlink()
    first = folder / "model-00001-of-00003.safetensors"
    (folder / "model-00002-of-00003.safetensors").write_bytes(first.read_bytes())
    message = f"holds model.embed_tokens.weight, and so does {first.name}"
    assert refusal(folder) == f"model-00002-of-00003.safetensors: {message}"


def test_a_truncated_shard(checkpoint: Checkpoints, refusal: Refusal) -> None:
    folder = checkpoint().path
    path = folder / "model.safetensors"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1000])
    assert refusal(folder) == f"model.safetensors: truncated: 1,000 of its {size:,} bytes are missing"


@pytest.mark.parametrize("content", [b"", b"1234567", b"\xff" * 8 + b"{}", b"\x00" * 7 + b"\x7f" + b"{}"])
def test_a_header_of_absurd_length(content: bytes, checkpoint: Checkpoints, refusal: Refusal) -> None:
    folder = checkpoint().path
    (folder / "model.safetensors").write_bytes(content)
    assert refusal(folder).startswith("model.safetensors: not a whole safetensors file: a header of ")


def test_bytes_after_the_last_tensor(checkpoint: Checkpoints, refusal: Refusal) -> None:
    folder = checkpoint().path
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"1234")
    assert refusal(folder) == "model.safetensors: 4 bytes after its last tensor are no tensor's"


def moved(by: int) -> Callable[[dict[str, Any]], None]:
    def move(header: dict[str, Any]) -> None:
        header[Q_PROJ]["data_offsets"] = [offset + by for offset in header[Q_PROJ]["data_offsets"]]

    return move


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (moved(-2), f"the bytes of {Q_PROJ} overlap those of model.embed_tokens.weight"),
        (moved(2), f"2 bytes between model.embed_tokens.weight and {Q_PROJ} are no tensor's"),
        (lambda h: h[Q_PROJ].update(dtype="I4"), f"{Q_PROJ}: dtype 'I4' is none of F32, F16, BF16"),
        (lambda h: h[Q_PROJ].update(dtype=["F32"]), f"{Q_PROJ}: dtype ['F32'] is none of F32, F16, BF16"),
        (
            lambda h: h[Q_PROJ].update(shape=[256, 255]),
            f"{Q_PROJ}: BF16 [256, 255] takes 130,560 bytes but has 131,072",
        ),
        (lambda h: h[Q_PROJ].update(shape=[-1, -65536]), f"{Q_PROJ}: shape [-1, -65536] at 147456 to 278528 makes no"),
        (lambda h: h[Q_PROJ].update(shape=[2**80]), f"{Q_PROJ}: shape [{2**80}] at 147456 to 278528 makes no sense"),
        (lambda h: h[Q_PROJ].update(shape="256"), f"{Q_PROJ}: shape 256 at 147456 to 278528 makes no sense"),
        (lambda h: h[Q_PROJ].update(data_offsets=[8, 0]), f"{Q_PROJ}: shape [256, 256] at 8 to 0 makes no sense"),
        (lambda h: h[Q_PROJ].update(data_offsets=[0]), f"{Q_PROJ}: its entry lacks dtype, shape or data_offsets"),
        (lambda h: h[Q_PROJ].pop("shape") and None, f"{Q_PROJ}: its entry lacks dtype, shape or data_offsets"),
        (lambda h: h.update({Q_PROJ: 3}), f"{Q_PROJ}: its entry lacks dtype, shape or data_offsets"),
        (lambda _: b'{"a": 1, "b": 2, "a": 3}', "the header names 'a' twice"),
        (lambda _: b"{{{", "the header is not JSON"),
        (lambda _: b"\xff\xfe", "the header is not JSON"),
        (lambda _: b"[]", "the header is not a JSON object"),
        (lambda _: b"[" * 100_000, "the header is not JSON"),
    ],
)
def test_a_shard_with_a_header_that_lies(
    change: Callable[[dict[str, Any]], Any], problem: str, checkpoint: Checkpoints, refusal: Refusal
) -> None:
    folder = checkpoint().path
    edit_header(folder / "model.safetensors", change)
    assert refusal(folder).startswith(f"model.safetensors: {problem}")


@pytest.mark.parametrize(("dtype", "bits"), [("BF16", b"\x80\x7f"), ("BF16", b"\xc0\xff"), ("F16", b"\x00\xfc")])
def test_weights_that_are_not_finite_are_refused(
    dtype: str, bits: bytes, checkpoint: Checkpoints, refusal: Refusal
) -> None:
    path = checkpoint(dtype=dtype).path / "model.safetensors"
    raw = path.read_bytes()
    path.write_bytes(raw[:-700] + bits + raw[-698:])
    assert refusal(path.parent).endswith("layernorm.weight holds numbers that are not finite")


@pytest.mark.parametrize("type_name", ["F16", "Q8_0", "Q4_K_M"])
@pytest.mark.parametrize("bits", [b"\x7f\x7f", b"\x00\xcf", b"\x80\xcf"])
def test_weights_too_large_for_the_type_are_refused(
    bits: bytes, type_name: str, checkpoint: Checkpoints, tmp_path: Path
) -> None:
    path = checkpoint().path / "model.safetensors"
    raw = path.read_bytes()
    at = len(raw) - 2 * (3 * 256 + 256 * 512)  # the first weight of the last ffn_down
    path.write_bytes(raw[:at] + bits + raw[at + 2 :])
    with pytest.raises(CheckpointError, match=r"1\.mlp\.down_proj\.weight holds numbers that are too large for [FQ]"):
        convert(path.parent, tmp_path / "out.gguf", type_name)
