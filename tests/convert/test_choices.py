"""Overrides of a recipe's tensor types, and refused overrides."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from seallm_edge.catalogue.recipes import RECIPES, QuantContext
from seallm_edge.convert.choosing.choices import (
    Choice,
    UserRecipe,
    check_importance,
    choose,
    choose_over,
    make_override,
    parse_override,
)
from seallm_edge.errors import ConversionError, InvalidOption
from seallm_edge.gguf_file import Dimensions
from seallm_edge.gguf_file.types import TENSOR_TYPES
from seallm_edge.native.quantizer import WRITABLE, quantize

MODEL = QuantContext(
    Dimensions(n_layer=8, n_embd=256, n_head=1, n_head_kv=1, n_ff=4896, n_vocab=300, tied=True, qkv_bias=True)
)
TENSORS: dict[str, tuple[int, ...]] = {
    "token_embd.weight": (300, 256),
    **{f"blk.{layer}.attn_norm.weight": (256,) for layer in range(8)},
    **{f"blk.{layer}.attn_v.weight": (256, 256) for layer in range(8)},
    **{f"blk.{layer}.attn_v.bias": (256,) for layer in range(8)},
    **{f"blk.{layer}.ffn_down.weight": (256, 4896) for layer in range(8)},
}


def chosen(*overrides: str, base: str = "Q4_K_M") -> dict[str, str]:
    recipe = UserRecipe("mine", RECIPES[base], tuple(map(parse_override, overrides)))
    return {name: choice.type.name for name, choice in choose(recipe, TENSORS, MODEL).items()}


def refusal(*overrides: str) -> tuple[str, str]:
    with pytest.raises(InvalidOption) as caught:
        chosen(*overrides)
    return caught.value.message, str(caught.value.hint)


def test_an_override_changes_the_tensors_it_names_and_no_other() -> None:
    plain = chosen()
    assert plain["blk.0.attn_v.weight"] == "Q6_K"
    expected = plain | {f"blk.{layer}.attn_v.weight": "Q8_0" for layer in (0, 1)}
    assert chosen(r"blk\.[01]\.attn_v=Q8_0") == expected


def test_the_first_override_that_fits_wins() -> None:
    types = chosen(r"blk\.3\.attn_v=F16", "attn_v=Q8_0")
    assert [types[f"blk.{layer}.attn_v.weight"] for layer in (2, 3)] == ["Q8_0", "F16"]


def test_an_override_that_an_earlier_one_hides_is_no_error() -> None:
    assert chosen("attn_v=Q8_0", r"attn_v\.weight=Q4_K") == chosen("attn_v=Q8_0")


def test_an_override_leaves_the_vectors_that_it_names_too() -> None:
    assert chosen("attn_v=Q8_0")["blk.0.attn_v.bias"] == "F32"


def test_unquantized_recipes_take_overrides_too() -> None:
    assert chosen("attn_v=Q8_0", base="BF16")["blk.0.attn_v.weight"] == "Q8_0"


def test_built_in_choices_fall_back_where_rows_are_no_whole_blocks() -> None:
    assert chosen()["blk.2.ffn_down.weight"] == "Q5_0"


def test_overrides_reach_only_what_is_quantizable_of_a_model_of_another_kind() -> None:
    built_in = {"a.weight": "Q4_K", "table.weight": "I32"}
    recipe = UserRecipe("mine", RECIPES["Q4_K_M"], (make_override("weight", "Q8_0"),))
    choices = choose_over(built_in, recipe, dict.fromkeys(built_in, (2, 256)), {"a.weight"})
    assert {name: choice.type.name for name, choice in choices.items()} == {"a.weight": "Q8_0", "table.weight": "I32"}


def test_an_override_that_rows_do_not_fit_is_refused() -> None:
    assert refusal("ffn_down=Q4_K") == (
        "blk.0.ffn_down.weight has rows of 4,896, which Q4_K's blocks of 256 do not divide",
        "these types fit: Q8_0, Q5_0, Q4_0, F16",
    )


def test_an_override_that_names_no_tensor_is_refused() -> None:
    assert refusal("attn_vv=Q8_0") == (
        "'attn_vv' names no tensor of this model",
        "its matrices are token_embd.weight to blk.7.ffn_down.weight",
    )


def test_an_override_that_names_only_vectors_is_refused() -> None:
    assert refusal("attn_v=Q8_0", "norm|bias=F16") == (
        "'norm|bias' names only what is never quantized, such as blk.0.attn_norm.weight",
        "name matrices, such as attn_v.weight",
    )


def test_an_expression_that_is_none_is_refused() -> None:
    assert refusal("attn_(v=Q8_0") == (
        "'attn_(v' is no regular expression: missing ), unterminated subpattern at position 5",
        r"a part of a tensor's name is enough: attn_v, or blk\.0\.",
    )


def test_an_unknown_type_is_refused_with_the_nearest() -> None:
    message, hint = refusal("attn_v=Q4_K_M")
    assert message == "unknown tensor type 'Q4_K_M'; did you mean 'Q4_K'?"
    assert hint.startswith("a tensor's types are F32, F16, Q4_0, Q4_1, ")


@pytest.mark.parametrize(
    ("text", "message"),
    [("attn_v", "'attn_v' names no type"), ("=Q8_0", "nothing says which tensors are to be Q8_0")],
)
def test_half_an_override_is_refused(text: str, message: str) -> None:
    assert refusal(text)[0] == message


def test_the_last_equals_sign_parts_expression_and_type() -> None:
    override = parse_override("(?=attn_v)a= q8-0")
    assert (override.expression, override.type.name) == ("(?=attn_v)a", "Q8_0")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(WRITABLE))
def test_every_type_that_an_override_may_name_can_be_written(name: str) -> None:
    kind = make_override("x", name).type
    rows = np.random.default_rng(2).standard_normal(2 * 256, np.float32)
    target = np.zeros(2 * kind.row_bytes(256), np.uint8)
    assert quantize(rows, kind, 256, target, np.ones(256, np.float32)) == target.size


def test_types_that_hold_no_weights_are_unknown() -> None:
    assert refusal("attn_v=I32")[0] == "unknown tensor type 'I32'; did you mean 'F32'?"


def test_a_users_recipe_says_its_bases_file_type() -> None:
    assert UserRecipe("mine", RECIPES["IQ3_M"]).file_type == gguf.LlamaFileType.MOSTLY_IQ3_M


def test_an_override_may_need_importance_where_its_base_needs_none() -> None:
    recipe = UserRecipe("mine", RECIPES["Q4_K_M"], (make_override("attn_v", "IQ2_XXS"),))
    needing = {name for name, choice in choose(recipe, TENSORS, MODEL).items() if choice.needs_importance}
    assert needing == {f"blk.{layer}.attn_v.weight" for layer in range(8)}


def choices_of(*names: str) -> dict[str, Choice]:
    return {name: Choice(TENSOR_TYPES["IQ2_S"], needs_importance=name != "free") for name in ("free", *names)}


def lacking(choices: dict[str, Choice], covered: set[str] | None) -> tuple[str, str]:
    with pytest.raises(ConversionError) as caught:
        check_importance(choices, covered)
    return caught.value.message, str(caught.value.hint)


def test_types_that_are_garbage_without_importance_are_refused() -> None:
    assert lacking(choices_of("a", "b"), None) == (
        "a as IQ2_S (and 1 more) would be garbage without an importance matrix",
        "give one with imatrix=…, or choose type='Q3_K_M' or a larger one",
    )


def test_a_tensor_that_the_importance_matrix_lacks_is_refused() -> None:
    assert lacking(choices_of("a", "b"), {"a"}) == (
        "b as IQ2_S would be garbage: the importance matrix has no entry for it",
        "take a matrix of this model, or choose type='Q3_K_M' or a larger one",
    )


def test_an_importance_matrix_that_covers_all_will_do() -> None:
    check_importance(choices_of("a"), {"a"})


def test_what_needs_no_importance_needs_no_matrix(tmp_path: Path) -> None:
    check_importance(choices_of(), None)
