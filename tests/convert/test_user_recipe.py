"""User recipes: their contents, and messages for mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from seallm_edge.convert.choosing.user_recipe import read_recipe
from seallm_edge.errors import InvalidOption

EXAMPLE = """write expressions in single quotes and types in double quotes: 'attn_v' = "Q6_K\""""
ANY = "[tensors]\n'attn_v' = 'Q8_0'\n"


def written(folder: Path, text: str | bytes, name: str = "mine.toml") -> Path:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


def refusal(path: Path) -> tuple[str, str]:
    with pytest.raises(InvalidOption) as caught:
        read_recipe(path)
    return caught.value.message, str(caught.value.hint)


def test_a_recipe_has_a_name_a_base_and_overrides_in_order(tmp_path: Path) -> None:
    text = "name = 'careful.1'\nbase = 'q5-k-m'\n[tensors]\n'blk\\.0\\.' = 'q8_0'\n'attn_v' = 'Q6_K'\n"
    recipe = read_recipe(written(tmp_path, text))
    overrides = [(override.expression, override.type.name) for override in recipe.overrides]
    assert (recipe.name, recipe.base.name) == ("careful.1", "Q5_K_M")
    assert overrides == [(r"blk\.0\.", "Q8_0"), ("attn_v", "Q6_K")]


def test_the_name_is_the_files_and_the_base_q4_k_m_where_nothing_is_said(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, "\ufeff" + ANY))
    assert (recipe.name, recipe.base.name) == ("mine", "Q4_K_M")


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("tensor = 1", "unknown key 'tensor'; did you mean 'tensors'?", "a recipe has: name base tensors"),
        ("name = 1\n" + ANY, "'name' is 1, not text in quotes", EXAMPLE),
        ("[tensors]\nblk.0 = 'Q8_0'", "'blk' is a table, not text in quotes", EXAMPLE),
        ("", "has no [tensors], so nothing would differ from its base", EXAMPLE),
        ("tensors = 3", "has no [tensors], so nothing would differ from its base", EXAMPLE),
        ("[tensors]\n", "has no [tensors], so nothing would differ from its base", EXAMPLE),
        ("base = 'Q4_K_M'\n\nbase", "line 3 is not TOML: expected '=' after a key in a key/value pair", EXAMPLE),
        ('a = 1\n"attn\\." = 2', "line 2 is not TOML: unescaped '\\' in a string", EXAMPLE),
        (b"# \xff", "line 1 is not UTF-8", "give a recipe, a TOML file; save it as UTF-8"),
        (
            "name = 'a/b'\n" + ANY,
            "its name 'a/b' cannot be part of a file's name",
            "give another: name = with 1 to 64 letters a-z, digits, and . _ -",
        ),
        ("name = 'q4-k-m'\n" + ANY, "its name 'q4-k-m' is that of a built-in type", 'give another: name = "mine"'),
        ("#" * (1 << 20) + "\n", "is larger than 1 MiB, which no recipe is", "give the path of a recipe, a TOML file"),
    ],
)
def test_a_mistake_is_told_with_the_file_and_what_mends_it(
    text: str | bytes, problem: str, hint: str, tmp_path: Path
) -> None:
    assert refusal(written(tmp_path, text)) == (f"mine.toml: {problem}", hint)


def test_an_unknown_base_is_told_with_the_nearest(tmp_path: Path) -> None:
    message, hint = refusal(written(tmp_path, "base = 'Q4_K_X'\n" + ANY))
    assert message == "mine.toml: unknown type 'Q4_K_X'; did you mean 'Q4_K_S'?"
    assert hint.startswith("the types are F32, ")


def test_an_unknown_tensor_type_is_told_with_the_nearest(tmp_path: Path) -> None:
    message, hint = refusal(written(tmp_path, "[tensors]\n'attn_v' = 'Q6'"))
    assert message == "mine.toml: unknown tensor type 'Q6'; did you mean 'Q6_K'?"
    assert hint.startswith("a tensor's types are F32, ")


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = 1" + "0" * 5_000])
def test_toml_that_python_cannot_hold_is_refused(text: str, tmp_path: Path) -> None:
    message, hint = refusal(written(tmp_path, text))
    assert message.startswith("mine.toml: ")
    assert hint == EXAMPLE


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    hint = "give the path of a recipe, a TOML file"
    assert refusal(tmp_path / "no.toml") == ("no.toml: cannot be read: No such file or directory", hint)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    hint = "give the path of a recipe, a TOML file"
    assert refusal(tmp_path) == (f"{tmp_path.name}: cannot be read: Is a directory", hint)
