"""Quantization recipes: the type of each matrix in llama.cpp's mixtures, as a table.

A recipe has a type for all matrices, and rules for those that lose more, or less, by quantization. Vectors stay F32.
Knows nothing of files; matrices have their GGUF names. ref: llama.cpp `src/llama-quant.cpp`; the tests hold this table
against llama.cpp itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from ..errors import InvalidOption, did_you_mean
from ..gguf_file import Dimensions
from ..gguf_file.types import FILE_TYPES, TENSOR_TYPES

DEFAULT_TYPE = "Q4_K_M"
UNQUANTIZED = ("F32", "BF16", "F16")


@dataclass(frozen=True)
class QuantContext:
    """Model facts that recipes depend on: its dimensions, and whether there is an importance matrix."""

    dimensions: Dimensions
    has_importance: bool = False


LayerTest = Callable[[int, int], bool]  # layer, number of layers → whether the rule holds there
ModelTest = Callable[[QuantContext], bool]


def _all_layers(_layer: int, _n_layer: int) -> bool:
    return True


def _first_two(layer: int, _n_layer: int) -> bool:
    return layer < 2


def _first_four(layer: int, _n_layer: int) -> bool:
    return layer < 4


def _first_sixteenth(layer: int, n_layer: int) -> bool:
    return layer < n_layer // 16


def _first_eighth(layer: int, n_layer: int) -> bool:
    return layer < n_layer // 8


def _between_the_eighths(layer: int, n_layer: int) -> bool:
    return n_layer // 8 <= layer < 7 * n_layer // 8


def _more_bits(layer: int, n_layer: int) -> bool:
    """First and last eighth of the layers, and every third between: errors at both ends cost most."""
    eighth = n_layer // 8
    return layer < eighth or layer >= 7 * n_layer // 8 or (layer - eighth) % 3 == 2


def _all_models(_model: QuantContext) -> bool:
    return True


def _shared_values(model: QuantContext) -> bool:
    """Four query heads or more share a KV head: its matrices are small, and more bits for them cost little."""
    return model.dimensions.n_gqa >= 4


def _with_importance(model: QuantContext) -> bool:
    return model.has_importance


def _without_importance(model: QuantContext) -> bool:
    return not model.has_importance


@dataclass(frozen=True)
class Rule:
    """Type of the matrices called `role`, in the layers and models that pass the tests."""

    role: str
    type: str
    layers: LayerTest = _all_layers
    models: ModelTest = _all_models


@dataclass(frozen=True)
class Recipe:
    """File type: `output` for the output matrix (or the embedding, where the two are tied), `matrix` for all others,
    unless a rule applies; the first one that does counts.
    """

    name: str
    matrix: str
    output: str = "Q6_K"
    rules: tuple[Rule, ...] = ()
    raises_70b: bool = True

    @property
    def file_type(self) -> int:
        """Number of this file type in `general.file_type`."""
        return next(number for number, name in FILE_TYPES.items() if name == self.name)


def _below_3_bits(name: str, matrix: str, finer: str, *rules: Rule) -> Recipe:
    shared = (
        Rule("token_embd", finer),
        Rule("attn_v", "Q4_K", models=_shared_values),
        Rule("attn_v", finer),
        Rule("ffn_down", finer, _first_eighth),
    )
    return Recipe(name, matrix, "Q5_K", shared + rules, raises_70b=False)


def _more_bits_at_both_ends(type_name: str) -> tuple[Rule, ...]:
    return (Rule("attn_v", type_name, _more_bits), Rule("ffn_down", type_name, _more_bits))


_IQ4_RULES = (
    Rule("attn_v", "Q5_K", models=_shared_values),
    Rule("ffn_down", "Q5_K", _first_eighth, _without_importance),
)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        *(Recipe(name, name, name) for name in UNQUANTIZED),
        Recipe("Q8_0", "Q8_0", "Q8_0"),
        Recipe("Q6_K", "Q6_K"),
        Recipe("Q5_K_M", "Q5_K", rules=_more_bits_at_both_ends("Q6_K")),
        Recipe("Q5_K_S", "Q5_K"),
        Recipe("Q5_1", "Q5_1"),
        Recipe("Q5_0", "Q5_0", rules=(Rule("ffn_down", "Q5_1", _first_eighth, _with_importance),)),
        Recipe("Q4_K_M", "Q4_K", rules=_more_bits_at_both_ends("Q6_K")),
        Recipe("Q4_K_S", "Q4_K", rules=(Rule("attn_v", "Q5_K", _first_four), Rule("ffn_down", "Q5_K", _first_eighth))),
        Recipe("Q4_1", "Q4_1"),
        Recipe("Q4_0", "Q4_0", rules=(Rule("ffn_down", "Q4_1", _first_eighth, _with_importance),)),
        Recipe("IQ4_NL", "IQ4_NL", rules=_IQ4_RULES),
        Recipe("IQ4_XS", "IQ4_XS", rules=_IQ4_RULES),
        Recipe("Q3_K_L", "Q3_K", rules=(Rule("attn_v", "Q5_K"), Rule("ffn_down", "Q5_K"), Rule("attn_output", "Q5_K"))),
        Recipe(
            "Q3_K_M",
            "Q3_K",
            rules=(
                Rule("attn_v", "Q5_K", _first_two),
                Rule("attn_v", "Q4_K"),
                Rule("ffn_down", "Q5_K", _first_sixteenth),
                Rule("ffn_down", "Q4_K"),
                Rule("attn_output", "Q4_K"),
            ),
        ),
        Recipe("Q3_K_S", "Q3_K"),
        Recipe(
            "IQ3_M",
            "IQ3_S",
            rules=(Rule("attn_v", "Q4_K"), Rule("ffn_down", "Q4_K", _first_eighth), Rule("attn_output", "Q4_K")),
        ),
        Recipe("IQ3_S", "IQ3_S", rules=(Rule("attn_v", "Q4_K", models=_shared_values),)),
        Recipe(
            "IQ3_XS",
            "IQ3_S",
            rules=(
                Rule("attn_v", "Q4_K", models=_shared_values),
                Rule("attn_q", "IQ3_XXS"),
                Rule("attn_k", "IQ3_XXS"),
                Rule("ffn_gate", "IQ3_XXS", _between_the_eighths),
                Rule("ffn_up", "IQ3_XXS", _between_the_eighths),
            ),
        ),
        Recipe(
            "IQ3_XXS",
            "IQ3_XXS",
            "Q5_K",
            rules=(
                Rule("token_embd", "IQ3_S"),
                Rule("attn_v", "Q4_K", models=_shared_values),
                Rule("attn_v", "IQ3_S", models=_without_importance),
                Rule("attn_q", "IQ2_S"),
                Rule("attn_k", "IQ2_S"),
                Rule("attn_output", "IQ3_S"),
                Rule("ffn_down", "Q4_K", _first_eighth, _without_importance),
                Rule("ffn_down", "Q3_K", models=_without_importance),
            ),
        ),
        Recipe(
            "Q2_K",
            "Q2_K",
            rules=(
                Rule("attn_v", "Q4_K", models=_shared_values),
                Rule("attn_v", "Q3_K"),
                Rule("attn_output", "Q3_K"),
                Rule("ffn_down", "Q3_K"),
            ),
        ),
        Recipe(
            "Q2_K_S",
            "Q2_K",
            rules=(Rule("attn_v", "Q4_K", models=_shared_values), Rule("ffn_down", "Q4_K", _first_eighth)),
        ),
        _below_3_bits("IQ2_M", "IQ2_S", "IQ3_S", Rule("attn_output", "IQ3_S")),
        _below_3_bits("IQ2_S", "IQ2_XS", "IQ3_S", Rule("attn_output", "IQ3_S")),
        _below_3_bits("IQ2_XS", "IQ2_XS", "Q2_K"),
        _below_3_bits("IQ2_XXS", "IQ2_XXS", "Q2_K"),
        _below_3_bits("IQ1_M", "IQ1_M", "Q2_K", Rule("attn_output", "IQ2_XXS")),
        _below_3_bits("IQ1_S", "IQ1_S", "Q2_K", Rule("attn_output", "IQ2_XXS")),
    )
}

# The one size whose attn_v llama.cpp never leaves below Q5_K; it tells it by the layers. ref: `LLM_TYPE_70B`
_LAYERS_OF_70B = 80
_RAISED_IN_70B = {"Q3_K": "Q5_K", "Q4_K": "Q5_K"}

# What stands in where a row is not a whole number of blocks of 256; F16 where it is none of 32 either.
_STAND_INS = {
    **dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"), "IQ4_NL"),
    **dict.fromkeys(("Q2_K", "Q3_K"), "Q4_0"),
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
}
_OUTPUT_STAND_IN = "Q8_0"

# Without importance ggml refuses the first three by ending the process; llama.cpp refuses the others as worthless.
_IMPOSSIBLE_UNGUIDED = ("IQ1_S", "IQ2_XXS", "IQ2_XS")
_WORTHLESS_UNGUIDED = ("IQ1_M", "IQ2_S", "IQ3_XXS")
_EMBEDDING_AND_OUTPUT = ("token_embd", "output")


def recipe_named(name: str) -> Recipe:
    """Recipe called `name`, in any case, with - or _. Raises InvalidOption with the nearest name."""
    if recipe := RECIPES.get(name.upper().replace("-", "_")):
        return recipe
    raise InvalidOption(f"unknown type {name!r}{did_you_mean(name, RECIPES)}", f"the types are {', '.join(RECIPES)}")


def is_quantizable(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a recipe chooses this tensor's type: a weight matrix of several rows. All others stay F32."""
    return prod(shape[:-1]) > 1 and name.endswith(".weight") and not name.endswith("_norm.weight")


def tensor_type(recipe: Recipe, name: str, shape: tuple[int, ...], model: QuantContext) -> str:
    """Type of the tensor `name` (its GGUF name) of this shape, rows first, by `recipe`."""
    if not is_quantizable(name, shape):
        return "F32"
    role, layer = _role_and_layer(name)
    is_output = role == "output" or (role == "token_embd" and model.dimensions.tied)
    wanted = recipe.output if is_output else _by_the_rules(recipe, role, layer, model)
    stand_in = _OUTPUT_STAND_IN if is_output else _STAND_INS.get(wanted, wanted)
    fitting = (kind for kind in (wanted, stand_in) if TENSOR_TYPES[kind].divides(shape[-1]))
    return next(fitting, "F16")


def needs_importance(recipe: Recipe, name: str, type_name: str) -> bool:
    """Whether the tensor `name` can be stored as `type_name` in a file of this recipe only with an importance matrix
    that has an entry for it. Without one its values would be useless.
    """
    if type_name in _IMPOSSIBLE_UNGUIDED:
        return True
    if _role_and_layer(name)[0] in _EMBEDDING_AND_OUTPUT:
        return False
    return type_name in _WORTHLESS_UNGUIDED or (recipe.name, type_name) == ("Q2_K_S", "Q2_K")


def _role_and_layer(name: str) -> tuple[str, int]:
    """("attn_v", 3) of blk.3.attn_v.weight; outside the blocks, the layer is 0."""
    parts = name.split(".")
    is_block = len(parts) == 4 and parts[0] == "blk" and parts[1].isdecimal()
    return (parts[2], int(parts[1])) if is_block else (parts[0], 0)


def _by_the_rules(recipe: Recipe, role: str, layer: int, model: QuantContext) -> str:
    n_layer = model.dimensions.n_layer
    fitting = (r.type for r in recipe.rules if r.role == role and r.layers(layer, n_layer) and r.models(model))
    wanted = next(fitting, recipe.matrix)
    is_raised = role == "attn_v" and n_layer == _LAYERS_OF_70B and recipe.raises_70b
    return _RAISED_IN_70B.get(wanted, wanted) if is_raised else wanted
