"""Which tensor gets which type: llama.cpp's own choices, as a table.

A recipe has a type for all matrices and raises the precision of those that suffer most. Vectors stay F32. Knows
nothing of files. ref: llama.cpp `src/llama-quant.cpp` (`llama_tensor_get_type_impl`, `tensor_type_fallback`); the
tests hold this table against `llama_model_quantize`, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seallm_edge.errors import InvalidOption, did_you_mean
from seallm_edge.gguf_file.types import FILE_TYPES
from seallm_edge.native.quantizer import TENSOR_TYPES, TensorType

LayerTest = Callable[[int, int], bool]  # layer, number of layers → whether it is raised
DEFAULT_TYPE = "Q4_K_M"
# Layers of the one size for which llama.cpp never leaves attn_v at Q4_K. ref: llama.cpp `LLM_TYPE_70B`
_LAYERS_OF_70B = 80


def _none(_layer: int, _n_layer: int) -> bool:
    return False


def _first_four(layer: int, _n_layer: int) -> bool:
    return layer < 4


def _first_eighth(layer: int, n_layer: int) -> bool:
    return layer < n_layer // 8


def _more_bits(layer: int, n_layer: int) -> bool:
    """The first and the last eighth, and every third layer between: errors at both ends cost most."""
    eighth = n_layer // 8
    return layer < eighth or layer >= 7 * n_layer // 8 or (layer - eighth) % 3 == 2


@dataclass(frozen=True)
class Recipe:
    """`matrix` for all matrices but: `output` for the output matrix (or the embedding where the two are tied), and
    `raised` for attn_v and ffn_down in the layers that their tests pick.
    """

    name: str
    matrix: str
    output: str
    raised: str = ""
    attn_v: LayerTest = _none
    ffn_down: LayerTest = _none

    @property
    def file_type(self) -> int:
        """The number that stands for it in `general.file_type`."""
        return next(number for number, name in FILE_TYPES.items() if name == self.name)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("F32", "F32", "F32"),
        Recipe("F16", "F16", "F16"),
        Recipe("BF16", "BF16", "BF16"),
        Recipe("Q8_0", "Q8_0", "Q8_0"),
        Recipe("Q6_K", "Q6_K", "Q6_K"),
        Recipe("Q5_K_M", "Q5_K", "Q6_K", "Q6_K", _more_bits, _more_bits),
        Recipe("Q4_K_M", "Q4_K", "Q6_K", "Q6_K", _more_bits, _more_bits),
        Recipe("Q4_K_S", "Q4_K", "Q6_K", "Q5_K", _first_four, _first_eighth),
        Recipe("Q4_0", "Q4_0", "Q6_K"),
    )
}

# What stands in where a row is not a whole number of blocks of 256; F16 where it is none of 32 either.
_FALLBACKS = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}


def recipe_named(name: str) -> Recipe:
    """The recipe called `name`, in any case, with - or _. Raises InvalidOption with the nearest name."""
    if recipe := RECIPES.get(name.upper().replace("-", "_")):
        return recipe
    raise InvalidOption(f"unknown type {name!r}{did_you_mean(name, RECIPES)}", f"the types are {', '.join(RECIPES)}")


def tensor_type(
    recipe: Recipe, name: str, layer: int | None, shape: tuple[int, ...], n_layer: int, tied: bool
) -> TensorType:
    """The type that `recipe` gives to the tensor `name` of this shape (rows first)."""
    if len(shape) < 2:
        return TENSOR_TYPES["F32"]
    wanted = _wanted(recipe, name, layer, n_layer, tied)
    return _that_divides(TENSOR_TYPES[wanted], shape[-1])


def _wanted(recipe: Recipe, name: str, layer: int | None, n_layer: int, tied: bool) -> str:
    if layer is None:
        is_output = name == "output.weight" or (tied and name == "token_embd.weight")
        return recipe.output if is_output else recipe.matrix
    is_value = name.endswith("attn_v.weight")
    test = recipe.attn_v if is_value else recipe.ffn_down if name.endswith("ffn_down.weight") else _none
    wanted = recipe.raised if test(layer, n_layer) else recipe.matrix
    return "Q5_K" if is_value and wanted == "Q4_K" and n_layer == _LAYERS_OF_70B else wanted


def _that_divides(kind: TensorType, n_per_row: int) -> TensorType:
    if kind.divides(n_per_row):
        return kind
    stand_in = TENSOR_TYPES[_FALLBACKS.get(kind.name, kind.name)]
    return stand_in if stand_in.divides(n_per_row) else TENSOR_TYPES["F16"]
