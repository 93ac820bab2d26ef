"""Identity of a checkpoint: name, licence, languages and source, from its catalogue card or else its folder's name."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from seallm_edge.catalogue import cards
from seallm_edge.gguf_file import encode
from seallm_edge.gguf_file.types import QUANTIZATION_VERSION

from ..choosing.choices import UserRecipe
from ..sources.checkpoint import Checkpoint
from .tokenizer import ends_turns

# ref: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (GGUF naming convention)
_NAME_PARTS = re.compile(
    r"(?P<basename>.+?)(?:-(?P<version>v\d+(?:\.\d+)*))?-(?P<size_label>\d+(?:\.\d+)?[KMBT])(?:-(?P<finetune>.+))?",
    re.IGNORECASE,
)
_KNOWN_LICENSES = {"apache-2.0", "mit"}


@dataclass(frozen=True)
class Identity:
    """Name of the file and the model; `card` is None for a checkpoint that is not in the catalogue."""

    name: str
    chat: bool
    card: cards.Card | None


def identify(checkpoint: Checkpoint) -> Identity:
    """Identity by the card that matches the folder's name; else the folder's name, and chat as its files say.

    The parent of a fine-tune (`_name_or_path` in config.json) gives licence and languages only.
    """
    if card := cards.match(checkpoint.name):
        return Identity(card.title, card.chat, card)
    parent = checkpoint.config.get("_name_or_path")
    card = cards.match(PurePath(parent).name) if isinstance(parent, str) and parent else None
    return Identity(checkpoint.name, ends_turns(checkpoint), card)


def general_metadata(
    identity: Identity, architecture: str, sampling: Mapping[str, bytes], recipe: UserRecipe, n_parameters: int
) -> Mapping[str, bytes]:
    """The `general.*` keys in llama.cpp's order, and `seallm.converter.*`: the converter's version and recipe."""
    kind = {"general.architecture": encode.text(architecture), "general.type": encode.text("model")}
    texts = {
        "general.name": identity.name,
        **_name_parts(identity, n_parameters),
        **_card_texts(identity.card),
        "seallm.converter.version": importlib.metadata.version("seallm-edge"),
        "seallm.converter.recipe": recipe.name,
    }
    values = {key: encode.text(value) for key, value in texts.items() if value}
    if identity.card is not None:
        values["general.languages"] = encode.texts(identity.card.languages)
    return {**kind, **sampling, **values}


def file_metadata(recipe: UserRecipe) -> Mapping[str, bytes]:
    """The `general.*` keys for the weights' type; llama.cpp writes them after the keys of the architecture."""
    return {
        "general.file_type": encode.u32(recipe.file_type),
        "general.quantization_version": encode.u32(QUANTIZATION_VERSION),
    }


def _name_parts(identity: Identity, n_parameters: int) -> Mapping[str, str]:
    match = _NAME_PARTS.fullmatch(identity.name)
    parts = match.groupdict(default="") if match else {"basename": identity.name}
    parts["size_label"] = parts.get("size_label") or _size_label(n_parameters)
    if identity.chat:
        parts["finetune"] = parts.get("finetune") or "Chat"
    order = ("version", "finetune", "basename", "size_label")
    return {f"general.{key}": parts.get(key, "") for key in order}


def _size_label(n_parameters: int) -> str:
    return f"{n_parameters / 1e9:.1f}B" if n_parameters >= 1e9 else f"{max(n_parameters / 1e6, 1):.0f}M"


def _card_texts(card: cards.Card | None) -> Mapping[str, str]:
    if card is None:
        return {}
    license_name = card.license_name.lower()
    texts = {"general.license": license_name if license_name in _KNOWN_LICENSES else "other"}
    if texts["general.license"] == "other":
        texts["general.license.name"] = card.license_name
        texts["general.license.link"] = card.license_url
    texts["general.source.url"] = texts["general.source.repo_url"] = card.source_url
    return texts
