"""Conversion tasks, prepared: the source that a command reads and the layout of every file that it writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seallm_edge.catalogue.recipes import DEFAULT_TYPE, recipe_named
from seallm_edge.errors import InvalidOption
from seallm_edge.hints import Hint, Option
from seallm_edge.paths import models_dir

from .choosing.choices import Override, UserRecipe, parse_override
from .choosing.imatrix import read_imatrix
from .choosing.user_recipe import read_recipe
from .mapping.mapped_checkpoint import map_checkpoint
from .run import Source, Task
from .sources.checkpoint import open_checkpoint
from .sources.files import open_files
from .writing.layout import lay_out

if TYPE_CHECKING:
    from seallm_edge.hub import Network


def named_recipe(type_name: str) -> UserRecipe:
    """The built-in recipe of that name. Raises InvalidOption."""
    base = recipe_named(type_name)
    return UserRecipe(base.name, base)


def with_overrides(recipe: UserRecipe, overrides: Sequence[Override]) -> UserRecipe:
    """Recipe with `overrides` before its own, and "-custom" at the end of its name."""
    if not overrides:
        return recipe
    return UserRecipe(f"{recipe.name}-custom", recipe.base, (*overrides, *recipe.overrides))


def chosen_recipes(
    types: Sequence[str] = (), recipe: str | Path | None = None, tensors: Sequence[str] = ()
) -> list[UserRecipe]:
    """Recipes of a conversion: that of the file `recipe`, then those of `types`; the default type if neither is given.

    `tensors` ("REGEX=TYPE") override them all. Raises InvalidOption.
    """
    overrides = [parse_override(text) for text in tensors]
    asked = [read_recipe(recipe)] if recipe else []
    asked += [named_recipe(name) for name in types or ([] if recipe else [DEFAULT_TYPE])]
    return [with_overrides(each, overrides) for each in asked]


def checkpoint_task(
    source: str | Path,
    recipes: Sequence[UserRecipe],
    out: str | Path | None = None,
    imatrix: str | Path | None = None,
    part_bytes: int | None = None,
    network: Network | None = None,
) -> Task:
    """Conversion of a checkpoint by each of `recipes`. Reads no weights, except a tied model's own output matrix.

    A checkpoint on a hub is streamed over `network`, whose `stop` ends the conversion with HubError.
    Raises CheckpointError, ConversionError, HubError and InvalidOption.
    """
    _check_distinct(recipes)
    importance = read_imatrix(imatrix) if imatrix else None
    files = open_files(source, network)
    checkpoint = open_checkpoint(files)
    mapped = map_checkpoint(checkpoint)
    plans = {}
    for recipe in recipes:
        content = mapped.content(recipe, importance)
        path = output_path(out, f"{content.name}-{recipe.name}.gguf", is_one=len(recipes) == 1)
        plans[path] = lay_out(content, part_bytes)
    return Task(Source(files.origin, checkpoint.shards, files.license, files.read("tokenizer.json")), plans)


def output_path(out: str | Path | None, file_name: str, is_one: bool = True) -> Path:
    """Path of an output: `out` itself, or `file_name` in the folder `out` or in the models folder.

    Raises InvalidOption for a file `out` where several files are written.
    """
    if out is None:
        return models_dir() / file_name
    if Path(out).is_dir():
        return Path(out) / file_name
    if not is_one:
        raise InvalidOption(
            f"{out} is no folder, and there are several files to write",
            Hint("give a folder with {out}", out=Option("out")),
        )
    return Path(out)


def _check_distinct(recipes: Sequence[UserRecipe]) -> None:
    names = [recipe.name for recipe in recipes]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidOption(f"{twice} is asked for twice", "name each type once")
