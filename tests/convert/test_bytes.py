"""Bytes of every tensor type, compared with llama.cpp's own quantizer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from seallm_edge.catalogue.recipes import RECIPES
from seallm_edge.convert import convert, convert_many
from seallm_edge.convert.choosing.imatrix import read_imatrix
from seallm_edge.errors import ConversionError
from seallm_edge.native.quantizer import requantize_file
from support import imatrix_files

pytestmark = pytest.mark.slow

SHAPES: dict[str, dict[str, Any]] = {
    "tied, BF16": {"layers": 3, "ff": 256},
    "untied, F16 in 3 shards": {"layers": 3, "tied": False, "dtype": "F16", "shards": 3},
    "F32": {"dtype": "F32"},
    "rows that 32 divides but not 256": {"embd": 288, "ff": 320, "heads": 2, "kv_heads": 1},
    "untied rows that 32 divides but not 256": {"embd": 96, "ff": 256, "kv_heads": 1, "heads": 1, "tied": False},
    "rows that 32 does not divide": {"embd": 48, "ff": 80, "heads": 2, "tied": False},
    "one layer that shares values": {"layers": 1, "ff": 256, "kv_heads": 1, "tied": False},
}
SMALLEST, FALLING_BACK = "one layer that shares values", "rows that 32 divides but not 256"
GUIDED = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS", "Q2_K_S")
# Between them they hold every tensor type that is written without importance; tests/catalogue/test_recipes.py has
# every recipe in every shape, by the types alone.
USUAL = ("F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M")
RARER = ("Q5_1", "Q5_0", "Q4_1", "IQ4_NL", "IQ4_XS", "IQ3_S", "Q2_K")
WITH_IMPORTANCE = (*(name for name in RECIPES if name.startswith("IQ")), *RARER, *USUAL, "Q2_K_S")


def tensors(path: Path) -> dict[str, tuple[str, bytes]]:
    """Type and bytes of every tensor, read by an independent reader."""
    return {t.name: (t.tensor_type.name, t.data.tobytes()) for t in gguf.GGUFReader(path).tensors}


@pytest.fixture(scope="module")
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint, and the GGUF that has its weights as they are."""
    folder = tmp_path_factory.mktemp("bytes")
    write, sizes = request.getfixturevalue("checkpoint_writer")
    shape = SHAPES[request.param]
    made = write(folder / "model", sizes(**shape))
    return made.path, convert(made.path, folder / "plain.gguf", shape.get("dtype", "BF16"), threads=2, verify="none")


@pytest.mark.parametrize("type_name", USUAL)
@pytest.mark.parametrize("source", SHAPES, indirect=True)
def test_every_tensor_has_the_type_and_the_bytes_that_llama_cpp_gives_it(
    type_name: str, source: tuple[Path, Path], tmp_path: Path
) -> None:
    checkpoint, plain = source
    ours = convert(checkpoint, tmp_path / "ours.gguf", type_name, threads=2, verify="none")
    requantize_file(plain, tmp_path / "oracle.gguf", RECIPES[type_name].file_type, threads=2)
    assert tensors(ours) == tensors(tmp_path / "oracle.gguf")


@pytest.mark.parametrize("type_name", RARER)
@pytest.mark.parametrize("source", [SMALLEST], indirect=True)
def test_rarer_types_have_llama_cpps_bytes_too(type_name: str, source: tuple[Path, Path], tmp_path: Path) -> None:
    checkpoint, plain = source
    ours = convert(checkpoint, tmp_path / "ours.gguf", type_name, threads=2, verify="none")
    requantize_file(plain, tmp_path / "oracle.gguf", RECIPES[type_name].file_type, threads=2)
    assert tensors(ours) == tensors(tmp_path / "oracle.gguf")


def write_importance(plain: Path, path: Path) -> Path:
    """An importance matrix for every matrix of a GGUF: columns of very different weight, and some of none."""
    rng = np.random.default_rng(23)
    entries = {}
    for tensor in gguf.GGUFReader(plain).tensors:
        if len(tensor.shape) == 2:
            sums = rng.gamma(0.3, 50, (1, int(tensor.shape[0]))).astype(np.float32)
            sums[:, ::17] = 0
            entries[tensor.name] = (sums, np.array([1536], np.float32))
    written: Path = imatrix_files.write_gguf(path, entries)
    return written


@pytest.mark.parametrize(
    ("source", "type_name"),
    [
        *((SMALLEST, name) for name in dict.fromkeys(WITH_IMPORTANCE)),
        *((FALLING_BACK, name) for name in ("IQ2_M", "Q4_0", "Q5_0", "Q2_K_S")),
    ],
    indirect=["source"],
)
def test_with_importance_every_tensor_has_the_bytes_that_llama_cpp_gives_it(
    type_name: str, source: tuple[Path, Path], tmp_path: Path
) -> None:
    checkpoint, plain = source
    matrix = write_importance(plain, tmp_path / "importance.gguf")
    (ours,) = convert_many(checkpoint, [type_name], tmp_path / "ours.gguf", imatrix=matrix, threads=2, verify="none")
    values = read_imatrix(matrix).values
    requantize_file(plain, tmp_path / "oracle.gguf", RECIPES[type_name].file_type, threads=2, importance=values)
    assert tensors(ours) == tensors(tmp_path / "oracle.gguf")


@pytest.mark.parametrize("type_name", GUIDED)
def test_types_that_need_importance_are_refused_without(
    type_name: str, checkpoint: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(ConversionError, match=r"would be garbage without an importance matrix"):
        convert(checkpoint(layers=1, ff=256).path, tmp_path / "ours.gguf", type_name)
    assert not (tmp_path / "ours.gguf").exists()


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
