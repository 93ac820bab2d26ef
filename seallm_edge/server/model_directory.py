"""`ModelDirectory`: the models that the server can answer with, in the words of no protocol."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from ..catalogue.cards import Card, match, match_header
from ..errors import ModelNotFound
from ..gguf_file import Header, read_header
from ..store import installed
from ..store.installed import Installed
from ..store.locate import default_chat_model, folded, how_to_get, locate, preference


@dataclass(frozen=True)
class ListedModel:
    """Model on this computer: `size` in bytes, `modified` in seconds since 1970, `digest` its sha256 or ""."""

    name: str
    path: Path
    size: int
    modified: int
    digest: str
    type_name: str
    card: Card | None

    @property
    def owner(self) -> str:
        """Owner of the repository that the model comes from."""
        return self.card.source_repo.partition("/")[0] if self.card else "local"

    def is_named(self, name: str) -> bool:
        """Whether a request's name is the model's, with or without its digits, or its file's; case does not matter."""
        return folded(name) in (folded(self.name), folded(self.name.partition("@")[0]), folded(self.path.stem))

    def header(self) -> Header:
        """Header of its file. Raises ModelFileError."""
        return _header(self.path, self.size, self.modified)


class ModelDirectory:
    """Models on this computer by the names that requests give. A name is looked up in the list: no part of a request
    becomes a path. `pinned` is the owner's choice for requests without a name: a model's name, or the path of a GGUF.
    """

    def __init__(self, pinned: str | None = None) -> None:
        self._pinned = locate(pinned) if pinned else None  # raises ModelNotFound when the server starts

    def all(self) -> list[ListedModel]:
        """Models, by name; the pinned one first where it is a file of no folder of models."""
        found = [_listed(one) for one in installed()]
        if self._pinned and all(one.path != self._pinned for one in found):
            found.insert(0, _listed_file(self._pinned))
        return found

    def find(self, name: str | None) -> ListedModel:
        """Model of a request; without a name the pinned or the default one. Raises ModelNotFound."""
        wanted = (name or "").removesuffix(":latest")
        here = self.all()
        if not wanted:
            return self._default(here)
        if found := [one for one in here if one.is_named(wanted)]:
            return found[0]
        card = match(wanted)
        if card is None:
            raise ModelNotFound(wanted[:80], known=[one.name for one in here])
        if of_card := [one for one in here if one.card == card]:
            return min(of_card, key=lambda one: preference(one.type_name, one.size))
        raise ModelNotFound(wanted, f"{card.title} is not on this computer", how_to_get(card))

    def _default(self, here: list[ListedModel]) -> ListedModel:
        path = self._pinned or default_chat_model()
        return next((one for one in here if one.path == path), None) or _listed_file(path)


def _listed(one: Installed) -> ListedModel:
    digest = (one.entry and one.entry.sha256) or ""
    return ListedModel(one.name, one.path, one.size, _modified(one.path), digest, one.type_name, one.card)


def _listed_file(path: Path) -> ListedModel:
    header = read_header(path)
    card = match_header(header)
    return ListedModel(path.stem, path, header.file_size, _modified(path), "", header.file_type_name, card)


def _modified(path: Path) -> int:
    try:
        return int(path.stat().st_mtime)
    except OSError:
        return 0


@functools.lru_cache(maxsize=32)
def _header(path: Path, size: int, modified: int) -> Header:
    """Header, read once for each state of a file."""
    return read_header(path)
