"""Model files on this computer: those in the models folder, and those that packages carry."""

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
    """A model here: `name` is what commands take, `size` in bytes, `type_name` from its name ("" unknown).

    `path` is its file; of several, the first, and `size` is that of all.
    """

    name: str
    path: Path
    size: int
    card: Card | None
    type_name: str


def installed() -> list[Installed]:
    """Every model in the store and in the demo package, by name. Looks at names and sizes, not inside."""
    return sorted((_installed(path) for path in _files()), key=lambda entry: entry.name.casefold())


def _installed(path: Path) -> Installed:
    part = split_name(path)
    name = part.model if part else path.stem
    return Installed(name, path, sum(file.stat().st_size for file in _parts(path)), match(name), _type_in(name))


def _parts(path: Path) -> Iterator[Path]:
    """The file itself; with the first part of a model, the other parts that are there."""
    yield path
    if name := split_name(path):
        yield from takewhile(Path.is_file, (path.with_name(name.part(n)) for n in range(2, name.count + 1)))


def _files() -> Iterator[Path]:
    """Every file that can be run: of a model in several, the first."""
    for folder in (paths.models_dir(), *_demo_folders()):
        if folder.is_dir():
            found = (path for path in folder.rglob("*") if path.suffix.lower() == ".gguf" and path.is_file())
            yield from (path for path in found if (part := split_name(path)) is None or part.number == 1)


def _demo_folders() -> Iterator[Path]:
    """Where packages named by cards carry their files; the packages themselves are not imported."""
    for card in cards().values():
        if not card.package:
            continue
        spec = importlib.util.find_spec(card.package.replace("-", "_"))
        yield from (Path(place) for place in (spec.submodule_search_locations if spec else None) or ())


def _type_in(stem: str) -> str:
    tail = stem.upper().replace("-", ".").rsplit(".", 1)[-1]
    return tail if tail in FILE_TYPES.values() else ""
