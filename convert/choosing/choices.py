"""Choice of each tensor's type: the recipe's, or that of an override whose pattern is found in the tensor's name.

Knows names, shapes and types, not the source of the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from seallm_edge.catalogue.recipes import QuantContext, Recipe, is_quantizable, needs_importance, tensor_type
from seallm_edge.errors import ConversionError, InvalidOption, did_you_mean
from seallm_edge.gguf_file.types import TENSOR_TYPES, TensorType
from seallm_edge.hints import Hint, Option, Part
from seallm_edge.native.quantizer import WRITABLE

Shape = tuple[int, ...]  # rows first

_TYPES = tuple(name for name in TENSOR_TYPES if name in WRITABLE)


@dataclass(frozen=True)
class Override:
    """Override: every tensor with `pattern` in its name gets `type`."""

    pattern: re.Pattern[str]
    type: TensorType

    @property
    def expression(self) -> str:
        """The regular expression as a text."""
        return self.pattern.pattern


@dataclass(frozen=True)
class UserRecipe:
    """Built-in recipe with overrides, of which the first that matches wins; `name` goes into file names."""

    name: str
    base: Recipe
    overrides: tuple[Override, ...] = ()

    @property
    def file_type(self) -> int:
        """Value of `general.file_type`: the base recipe's, since llama.cpp has none for user recipes."""
        return self.base.file_type


@dataclass(frozen=True)
class Choice:
    """A tensor's type, and whether this type is unusable without importance for the tensor."""

    type: TensorType
    needs_importance: bool


def choose(recipe: UserRecipe, tensors: Mapping[str, Shape], model: QuantContext) -> dict[str, Choice]:
    """Types of all `tensors` of a model, by their GGUF names.

    An override changes only the tensors it names; llama.cpp's own overrides of attn_v also shift the layer counts of
    the rules for the other layers. Built-in choices fall back to another type where rows are no whole blocks. Raises
    InvalidOption for an override that does not divide into blocks or names no matrix.
    """
    built_in = {name: tensor_type(recipe.base, name, shape, model) for name, shape in tensors.items()}
    quantizable = {name for name, shape in tensors.items() if is_quantizable(name, shape)}
    return choose_over(built_in, recipe, tensors, quantizable)


def choose_over(
    built_in: Mapping[str, str], recipe: UserRecipe, tensors: Mapping[str, Shape], quantizable: Collection[str]
) -> dict[str, Choice]:
    """Types of all `tensors`, with overrides applied over the `built_in` type names.

    Overrides reach the tensors in `quantizable` only. Raises InvalidOption as `choose` does.
    """
    for override in recipe.overrides:
        _check_names_something(override, tensors, quantizable)
    choices = {}
    for name, shape in tensors.items():
        fitting = _first_that_fits(recipe.overrides, name) if name in quantizable else None
        kind = _checked(fitting.type, name, shape) if fitting else TENSOR_TYPES[built_in[name]]
        choices[name] = Choice(kind, name in quantizable and needs_importance(recipe.base, name, kind.name))
    return choices


_NO_IMPORTANCE: dict[str, Part] = {"imatrix": Option("imatrix"), "larger": Option("type", "Q3_K_M")}


def check_importance(choices: Mapping[str, Choice], covered: Collection[str] | None) -> None:
    """Raise ConversionError for a tensor that needs importance and is not `covered` by the importance matrix.

    `covered` is None if no matrix was given.
    """
    lacking = [name for name, choice in choices.items() if choice.needs_importance and name not in (covered or ())]
    if not lacking:
        return
    first = f"{lacking[0]} as {choices[lacking[0]].type.name}"
    more = f" (and {len(lacking) - 1:,} more)" if len(lacking) > 1 else ""
    if covered is None:
        problem = f"{first}{more} would be garbage without an importance matrix"
        raise ConversionError(
            problem, Hint("give one with {imatrix}, or choose {larger} or a larger one", **_NO_IMPORTANCE)
        )
    problem = f"{first}{more} would be garbage: the importance matrix has no entry for it"
    raise ConversionError(
        problem, Hint("take a matrix of this model, or choose {larger} or a larger one", **_NO_IMPORTANCE)
    )


def make_override(expression: str, type_name: str) -> Override:
    """Override made of a regular expression and the name of a tensor type. Raises InvalidOption."""
    kind = type_name.strip().upper().replace("-", "_")
    if kind not in _TYPES:
        problem = f"unknown tensor type {type_name!r}{did_you_mean(type_name, _TYPES)}"
        raise InvalidOption(problem, f"a tensor's types are {', '.join(_TYPES)}")
    if not expression:
        raise InvalidOption(
            f"nothing says which tensors are to be {kind}", "give a part of their names, such as attn_v"
        )
    try:
        return Override(re.compile(expression), TENSOR_TYPES[kind])
    except (re.error, RecursionError, OverflowError) as error:
        problem = f"{expression!r} is no regular expression: {error}"
        raise InvalidOption(problem, r"a part of a tensor's name is enough: attn_v, or blk\.0\.") from error


def parse_override(text: str) -> Override:
    """Override given as "REGEX=TYPE", split at the last =. Raises InvalidOption."""
    expression, parted, type_name = text.rpartition("=")
    if not parted:
        raise InvalidOption(f"{text!r} names no type", "give REGEX=TYPE, such as attn_v=Q6_K")
    return make_override(expression, type_name)


def _first_that_fits(overrides: Sequence[Override], name: str) -> Override | None:
    return next((override for override in overrides if override.pattern.search(name)), None)


def _check_names_something(override: Override, tensors: Mapping[str, Shape], quantizable: Collection[str]) -> None:
    named = [name for name in tensors if override.pattern.search(name)]
    if not named:
        matrices = [name for name in tensors if name in quantizable]
        hint = f"its matrices are {matrices[0]} to {matrices[-1]}" if matrices else "it has no matrices"
        raise InvalidOption(f"{override.expression!r} names no tensor of this model", hint)
    if quantizable and not any(name in quantizable for name in named):
        problem = f"{override.expression!r} names only what is never quantized, such as {named[0]}"
        raise InvalidOption(problem, "name matrices, such as attn_v.weight")


def _checked(kind: TensorType, name: str, shape: Shape) -> TensorType:
    if kind.divides(shape[-1]):
        return kind
    fitting = [other for other in ("Q8_0", "Q5_0", "Q4_0", "F16") if TENSOR_TYPES[other].divides(shape[-1])]
    problem = f"{name} has rows of {shape[-1]:,}, which {kind.name}'s blocks of {kind.block} do not divide"
    raise InvalidOption(problem, f"these types fit: {', '.join(fitting)}")
