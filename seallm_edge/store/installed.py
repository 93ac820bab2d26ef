"""Model files on this computer: in the models folder, linked in place, and in Python packages named by cards."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from .. import paths
from ..catalogue.cards import Card, cards, match
from ..gguf_file import split_name
from ..gguf_file.types import type_in
from . import index
from .index import Entry

_ID_DIGITS = 6  # of a sha256, where two models have one name


@dataclass(frozen=True)
class Installed:
    """Installed model: `name` for commands, `size` in bytes, `type_name` by the file name or the index ("" if unknown).

    For a split model, `path` is the first part, and `size` the sum of all parts. `entry` is its record in the index, if
    it has one; `package` the Python package that its file belongs to, if any.
    """

    name: str
    path: Path
    size: int
    card: Card | None
    type_name: str
    entry: Entry | None = None
    package: str = ""

    @property
    def id(self) -> str:
        """First digits of its sha256; "" where that is unknown."""
        return ((self.entry and self.entry.sha256) or "")[:12]

    @property
    def is_kept(self) -> bool:
        """Whether its file stays here: in the store or in a package, and not linked."""
        return bool(self.package) or (self.entry is not None and not self.entry.is_linked)

    @property
    def files(self) -> tuple[Path, ...]:
        """Its files, the first part first."""
        return tuple(_parts(self.path))


def installed() -> list[Installed]:
    """Models in the models folder, linked ones that are there, and those of the cards' packages, sorted by name.

    Reads no file contents. Of several models of one name, all have the first digits of their sha256 behind an @.
    """
    known = {entry.path: entry for entry in index.entries()}
    linked = (path for path, entry in known.items() if entry.is_linked and entry.is_here)
    found = dict.fromkeys(linked, "") | dict(_files())
    models = _distinct(_installed(path, known.get(path), package) for path, package in found.items())
    return sorted(models, key=lambda model: model.name.casefold())


def installed_at(path: Path) -> Installed:
    """Installed model of this (first) file. Raises StopIteration if it is not in the store."""
    place = paths.models_dir() / index.relative(path)
    return next(one for one in installed() if one.path == place)


def missing() -> list[Entry]:
    """Entries whose files are not there now: removed by hand, or on a disk that is not mounted."""
    return [entry for entry in index.entries() if entry.is_gone]


def _installed(path: Path, entry: Entry | None, package: str) -> Installed:
    part = split_name(path)
    name = part.model if part else path.stem
    size = sum(file.stat().st_size for file in _parts(path))
    type_name = type_in(name) or (entry.type_name if entry else "")
    return Installed(name, path, size, match(name), type_name, entry, package)


def _distinct(found: Iterable[Installed]) -> list[Installed]:
    models = list(found)
    counts = Counter(one.name.casefold() for one in models)
    return [
        replace(one, name=f"{one.name}@{one.id[:_ID_DIGITS]}") if counts[one.name.casefold()] > 1 and one.id else one
        for one in models
    ]


def _parts(path: Path) -> Iterator[Path]:
    """Files of a model: `path` itself, and the other parts that exist if it is a first part."""
    yield path
    if name := split_name(path):
        yield from takewhile(Path.is_file, (path.with_name(name.part(n)) for n in range(2, name.count + 1)))


def _files() -> Iterator[tuple[Path, str]]:
    """Model files, each with its package; for a split model, the first part only.

    What is unfinished is in folders with a dot before their names.
    """
    for folder, package in ((paths.models_dir(), ""), *_package_folders()):
        if folder.is_dir():
            found = (path for path in folder.rglob("*") if path.suffix.lower() == ".gguf" and path.is_file())
            shown = (path for path in found if not _is_hidden(path.relative_to(folder)))
            yield from ((path, package) for path in shown if (part := split_name(path)) is None or part.number == 1)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _package_folders() -> Iterator[tuple[Path, str]]:
    """Folders of the packages named by cards; the packages are not imported."""
    for package in filter(None, (card.package for card in cards().values())):
        spec = importlib.util.find_spec(package.replace("-", "_"))
        yield from ((Path(folder), package) for folder in (spec.submodule_search_locations if spec else None) or ())
