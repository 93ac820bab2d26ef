"""User recipe: a TOML file with a base recipe, and types for the tensors that differ from it.

name = "careful"           # default: the file's name without its ending
base = "Q4_K_M"            # default: Q4_K_M
[tensors]                  # the first expression that is found in a tensor's name decides
'attn_v' = "Q6_K"
'^blk[.][0-3][.]' = "Q5_K"
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from seallm_edge.catalogue.recipes import DEFAULT_TYPE, RECIPES, recipe_named
from seallm_edge.errors import InvalidOption, did_you_mean
from seallm_edge.files.text_file import NotUtf8, TooLarge, read_text_file

from .choices import Override, UserRecipe, make_override

_KEYS = ("name", "base", "tensors")
_MAX_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_EXAMPLE = """write expressions in single quotes and types in double quotes: 'attn_v' = "Q6_K\""""


def read_recipe(path: str | Path) -> UserRecipe:
    """Recipe in the TOML file `path`. Raises InvalidOption that names the file and the error in it."""
    path = Path(path)
    try:
        return _recipe(path.stem, _values(_text(path)))
    except InvalidOption as error:
        raise InvalidOption(f"{path.name}: {error.message}", error.hint) from error


def _text(path: Path) -> str:
    try:
        return read_text_file(path, _MAX_BYTES)
    except OSError as error:
        raise InvalidOption(f"cannot be read: {error.strerror}", "give the path of a recipe, a TOML file") from error
    except TooLarge as error:
        raise InvalidOption(f"{error}, which no recipe is", "give the path of a recipe, a TOML file") from error
    except NotUtf8 as error:
        problem = str(error) if error.encoding else f"line {error.line} is not UTF-8"
        raise InvalidOption(problem, "give a recipe, a TOML file; save it as UTF-8") from error


def _values(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        position = _POSITION.search(message)
        line = int(position[1]) if position and position[1] else text.count("\n") + 1
        problem = _POSITION.sub("", message)
        raise InvalidOption(f"line {line} is not TOML: {problem[:1].lower()}{problem[1:]}", _EXAMPLE) from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, lists in lists in lists
        raise InvalidOption(f"is not TOML that can be read: {error}", _EXAMPLE) from error


def _recipe(stem: str, values: dict[str, Any]) -> UserRecipe:
    for key in values:
        if key not in _KEYS:
            raise InvalidOption(f"unknown key {key!r}{did_you_mean(key, _KEYS)}", f"a recipe has: {' '.join(_KEYS)}")
    base = recipe_named(_string("base", values.get("base", DEFAULT_TYPE)))
    return UserRecipe(_checked_name(_string("name", values.get("name", stem))), base, _overrides(values.get("tensors")))


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        hint = "give another: name = with 1 to 64 letters a-z, digits, and . _ -"
        raise InvalidOption(f"its name {name!r} cannot be part of a file's name", hint)
    if name.upper().replace("-", "_") in RECIPES:
        raise InvalidOption(f"its name {name!r} is that of a built-in type", 'give another: name = "mine"')
    return name


def _overrides(table: Any) -> tuple[Override, ...]:
    if not isinstance(table, dict) or not table:
        raise InvalidOption("has no [tensors], so nothing would differ from its base", _EXAMPLE)
    return tuple(make_override(expression, _string(expression, kind)) for expression, kind in table.items())


def _string(key: str, value: Any) -> str:
    if not isinstance(value, str):
        what = "a table" if isinstance(value, dict) else f"{value!r:.40}"
        raise InvalidOption(f"{key!r} is {what}, not text in quotes", _EXAMPLE)
    return value
