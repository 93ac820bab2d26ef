"""Model files on this computer: in the models folder, and in Python packages named by cards."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from .. import paths
from ..catalogue.cards import Card, cards, match
from ..gguf_file import split_name
from ..gguf_file.types import FILE_TYPES


@dataclass(frozen=True)
class Installed:
    """Installed model: `name` for commands, `size` in bytes, `type_name` from the file name ("" if unknown).

    For a split model, `path` is the first part, and `size` the sum of all parts.
    """

    name: str
    path: Path
    size: int
    card: Card | None
    type_name: str


def installed() -> list[Installed]:
    """Models in the models folder and in the cards' packages, sorted by name. Reads no file contents."""
    return sorted((_installed(path) for path in _files()), key=lambda entry: entry.name.casefold())


def _installed(path: Path) -> Installed:
    part = split_name(path)
    name = part.model if part else path.stem
    return Installed(name, path, sum(file.stat().st_size for file in _parts(path)), match(name), _type_in(name))


def _parts(path: Path) -> Iterator[Path]:
    """Files of a model: `path` itself, and the other parts that exist if it is a first part."""
    yield path
    if name := split_name(path):
        yield from takewhile(Path.is_file, (path.with_name(name.part(n)) for n in range(2, name.count + 1)))


def _files() -> Iterator[Path]:
    """Model files; for a split model, the first part only."""
    for folder in (paths.models_dir(), *_demo_folders()):
        if folder.is_dir():
            found = (path for path in folder.rglob("*") if path.suffix.lower() == ".gguf" and path.is_file())
            yield from (path for path in found if (part := split_name(path)) is None or part.number == 1)


def _demo_folders() -> Iterator[Path]:
    """Folders of the packages named by cards; the packages are not imported."""
    for card in cards().values():
        if not card.package:
            continue
        spec = importlib.util.find_spec(card.package.replace("-", "_"))
        yield from (Path(folder) for folder in (spec.submodule_search_locations if spec else None) or ())


def _type_in(stem: str) -> str:
    tail = stem.upper().replace("-", ".").rsplit(".", 1)[-1]
    return tail if tail in FILE_TYPES.values() else ""
