"""Recipes, compared with the choices of llama.cpp's own quantizer for models of many shapes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import pytest

from seallm_edge.catalogue.recipes import RECIPES, QuantContext, needs_importance, recipe_named, tensor_type
from seallm_edge.errors import EngineError, InvalidOption
from seallm_edge.gguf_file import Dimensions, read_structure
from seallm_edge.gguf_file.types import FILE_TYPES
from seallm_edge.native.quantizer import requantize_file

N_HEAD = 8
MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
# Recipes for experts, and for weights that were trained in so few bits.
NOT_FOR_US = {"TQ1_0", "TQ2_0", "MXFP4_MOE", "NVFP4", "Q1_0", "Q2_0"}


@dataclass(frozen=True)
class Example:
    """A model of two rows a matrix, which is all that choices need."""

    n_layer: int
    n_gqa: int
    is_tied: bool
    width: int = 256

    def model(self, has_importance: bool) -> QuantContext:
        dimensions = Dimensions(
            n_layer=self.n_layer,
            n_embd=self.width,
            n_head=N_HEAD,
            n_head_kv=N_HEAD // self.n_gqa,
            n_ff=self.width,
            n_vocab=2,
            tied=self.is_tied,
            qkv_bias=False,
        )
        return QuantContext(dimensions, has_importance)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        matrices = ["token_embd", *([] if self.is_tied else ["output"])]
        matrices += [f"blk.{layer}.{part}" for layer in range(self.n_layer) for part in MATRICES]
        vectors = ["output_norm", *(f"blk.{layer}.attn_norm" for layer in range(self.n_layer))]
        return {f"{name}.weight": (2, self.width) for name in matrices} | {
            f"{name}.weight": (self.width,) for name in vectors
        }

    def importance(self) -> dict[str, np.ndarray]:
        return {name: np.ones(self.width, np.float32) for name, shape in self.shapes().items() if len(shape) > 1}

    def write(self, path: Path) -> Path:
        writer = gguf.GGUFWriter(path, "qwen2")
        writer.add_block_count(self.n_layer)
        writer.add_context_length(512)
        writer.add_embedding_length(self.width)
        writer.add_feed_forward_length(self.width)
        writer.add_head_count(N_HEAD)
        writer.add_head_count_kv(N_HEAD // self.n_gqa)
        writer.add_layer_norm_rms_eps(1e-6)
        rng = np.random.default_rng(11)
        for name, shape in self.shapes().items():
            writer.add_tensor(name, rng.standard_normal(shape, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path


EXAMPLES = {
    "2 layers": Example(2, 1, True),
    "16 layers": Example(16, 2, False),
    "28 layers that share values": Example(28, 4, True),
    "80 layers": Example(80, 1, True),
    "80 layers that share values": Example(80, 8, False),
    "rows of 288": Example(9, 1, True, width=288),
    "rows of 288, untied": Example(9, 4, False, width=288),
    "rows of 48": Example(2, 4, False, width=48),
}


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Example, Path]:
    """A model, and its GGUF."""
    found = EXAMPLES[request.param]
    return found, found.write(tmp_path_factory.mktemp("recipes") / "model.gguf")


def chosen_by_llama_cpp(source: Path, out: Path, name: str, importance: dict[str, np.ndarray] | None) -> dict[str, str]:
    requantize_file(source, out, RECIPES[name].file_type, importance=importance)
    return {tensor.name: tensor.type_name for tensor in read_structure(out).tensors}


def chosen_by_us(example: Example, name: str, has_importance: bool) -> dict[str, str]:
    model = example.model(has_importance)
    return {tensor: tensor_type(RECIPES[name], tensor, shape, model) for tensor, shape in example.shapes().items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_types_with_importance_are_llama_cpps(name: str, example: tuple[Example, Path], tmp_path: Path) -> None:
    model, source = example
    theirs = chosen_by_llama_cpp(source, tmp_path / "out.gguf", name, model.importance())
    assert chosen_by_us(model, name, has_importance=True) == theirs


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_types_without_importance_are_llama_cpps_or_refused_as_by_it(
    name: str, example: tuple[Example, Path], tmp_path: Path
) -> None:
    model, source = example
    ours = chosen_by_us(model, name, has_importance=False)
    if any(needs_importance(RECIPES[name], tensor, kind) for tensor, kind in ours.items()):
        with pytest.raises(EngineError, match="requires an imatrix"):
            chosen_by_llama_cpp(source, tmp_path / "out.gguf", name, None)
    else:
        assert ours == chosen_by_llama_cpp(source, tmp_path / "out.gguf", name, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["IQ2_M", "Q2_K_S"])
def test_llama_cpp_misses_just_the_entries_that_we_say_are_needed(name: str, tmp_path: Path) -> None:
    example = Example(2, 1, is_tied=False)
    source = example.write(tmp_path / "model.gguf")
    types = chosen_by_us(example, name, has_importance=True)
    for left_out, type_name in types.items():
        importance = {other: values for other, values in example.importance().items() if other != left_out}
        if needs_importance(RECIPES[name], left_out, type_name):
            with pytest.raises(EngineError, match=f"Missing importance matrix for tensor {left_out}"):
                chosen_by_llama_cpp(source, tmp_path / "out.gguf", name, importance)
        else:
            assert chosen_by_llama_cpp(source, tmp_path / "out.gguf", name, importance) == types


def test_a_matrix_of_one_row_stays_as_it_is_as_in_llama_cpp() -> None:
    model = EXAMPLES["2 layers"].model(has_importance=False)
    assert tensor_type(RECIPES["Q4_K_M"], "blk.0.attn_v.weight", (1, 256), model) == "F32"


def test_every_file_type_of_dense_models_has_a_recipe() -> None:
    assert set(RECIPES) == set(FILE_TYPES.values()) - NOT_FOR_US


@pytest.mark.parametrize("kind", ["IQ1_S", "IQ2_XXS", "IQ2_XS"])
def test_what_ggml_cannot_write_unguided_needs_importance_even_in_the_embedding(kind: str) -> None:
    assert needs_importance(RECIPES["Q4_K_M"], "token_embd.weight", kind)


def test_q2_k_needs_importance_in_the_small_recipe_only() -> None:
    need = {name for name in RECIPES if needs_importance(RECIPES[name], "blk.0.attn_q.weight", "Q2_K")}
    assert need == {"Q2_K_S"}


@pytest.mark.parametrize("spelling", ["q3-k-l", "Q3_K_L", "q3_K_l"])
def test_a_recipe_is_found_in_any_spelling(spelling: str) -> None:
    assert recipe_named(spelling) is RECIPES["Q3_K_L"]


def test_an_unknown_recipe_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidOption) as caught:
        recipe_named("Q3_K_XL")
    assert caught.value.message == "unknown type 'Q3_K_XL'; did you mean 'Q3_K_L'?"
    assert str(caught.value.hint) == f"the types are {', '.join(RECIPES)}"
