"""Every weight of every type, held against llama.cpp's own quantizer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest

from seallm_edge.convert import convert
from seallm_edge.convert.recipes import RECIPES
from seallm_edge.native.quantizer import requantize_file

SHAPES: dict[str, dict[str, Any]] = {
    "tied, BF16": {"layers": 9, "ff": 256},
    "untied, F16 in 3 shards": {"layers": 3, "tied": False, "dtype": "F16", "shards": 3},
    "F32": {"dtype": "F32"},
    "rows that 32 divides but not 256": {"embd": 288, "ff": 320, "heads": 2, "kv_heads": 1},
    "untied rows that 32 divides but not 256": {"embd": 96, "ff": 256, "kv_heads": 1, "heads": 1, "tied": False},
    "rows that 32 does not divide": {"embd": 48, "ff": 80, "heads": 2, "tied": False},
}


def tensors(path: Path) -> dict[str, tuple[str, bytes]]:
    """Type and bytes of every tensor, read by an independent reader."""
    return {t.name: (t.tensor_type.name, t.data.tobytes()) for t in gguf.GGUFReader(path).tensors}


@pytest.fixture(params=SHAPES, scope="module")
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint, and the GGUF that has its weights as they are."""
    folder = tmp_path_factory.mktemp("bytes")
    write, sizes = request.getfixturevalue("checkpoint_writer")
    shape = SHAPES[request.param]
    made = write(folder / "model", sizes(**shape))
    return made.path, convert(made.path, folder / "plain.gguf", shape.get("dtype", "BF16"), threads=2)


@pytest.mark.parametrize("type_name", RECIPES)
def test_every_tensor_has_the_type_and_the_bytes_that_llama_cpp_gives_it(
    type_name: str, source: tuple[Path, Path], tmp_path: Path
) -> None:
    checkpoint, plain = source
    ours = convert(checkpoint, tmp_path / "ours.gguf", type_name, threads=2)
    requantize_file(plain, tmp_path / "oracle.gguf", RECIPES[type_name].file_type, threads=2)
    assert tensors(ours) == tensors(tmp_path / "oracle.gguf")


def test_a_model_of_80_layers_has_its_values_raised_as_llama_cpp_does(
    checkpoint: Callable[..., Any], tmp_path: Path
) -> None:
    folder = checkpoint(layers=80, ff=256, kv_heads=1).path
    plain = convert(folder, tmp_path / "plain.gguf", "BF16")
    ours = convert(folder, tmp_path / "ours.gguf", "Q4_K_S", threads=2)
    requantize_file(plain, tmp_path / "oracle.gguf", RECIPES["Q4_K_S"].file_type, threads=2)
    assert tensors(ours) == tensors(tmp_path / "oracle.gguf")


def test_unquantized_matrices_are_the_source_bytes(checkpoint: Callable[..., Any], tmp_path: Path) -> None:
    made = checkpoint(tied=False, shards=3)
    written = tensors(convert(made.path, tmp_path / "plain.gguf", "BF16"))
    names = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output.weight": "lm_head.weight",
        "blk.1.attn_q.weight": "model.layers.1.self_attn.q_proj.weight",
        "blk.1.attn_output.weight": "model.layers.1.self_attn.o_proj.weight",
        "blk.0.ffn_gate.weight": "model.layers.0.mlp.gate_proj.weight",
        "blk.0.ffn_up.weight": "model.layers.0.mlp.up_proj.weight",
        "blk.1.ffn_down.weight": "model.layers.1.mlp.down_proj.weight",
    }
    assert {ours: written[ours] for ours in names} == {o: ("BF16", made.weights[theirs]) for o, theirs in names.items()}


@pytest.mark.parametrize("threads", [1, 3])
def test_the_file_is_the_same_whatever_the_number_of_threads(
    threads: int, checkpoint: Callable[..., Any], tmp_path: Path
) -> None:
    folder = checkpoint(vocab=6000).path
    first = convert(folder, tmp_path / "first.gguf", "Q4_0", threads=2)
    second = convert(folder, tmp_path / "second.gguf", "Q4_0", threads=threads)
    assert first.read_bytes() == second.read_bytes()
