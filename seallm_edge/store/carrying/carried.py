"""Model on its way to another computer: its files and hashes, its facts, its card, and its licence."""

from __future__ import annotations

import contextlib
import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ...catalogue.cards import Card, match_header
from ...errors import ModelFileError
from ...files.small_files import read_small_file
from ...gguf_file import Header, read_parts, split_name
from ..index import Entry
from ..installed import Installed, installed
from ..licenses import License

FACTS_FILE, CARD_FILE, LICENSE_FILE = "model.toml", "card.toml", "LICENSE.txt"


@dataclass(frozen=True)
class CarriedModel:
    """Model to be carried: its `name`, its files (the first part first), header, card, licence, origin, and the known
    sha256 by file name; `is_fresh` tells whether no file was written to since they were recorded.
    """

    name: str
    files: tuple[Path, ...]
    header: Header
    card: Card | None
    license: License
    origin: str
    hashes: Mapping[str, str]
    is_fresh: bool = True

    @property
    def title(self) -> str:
        """Name as its authors write it, else that of the file."""
        return self.card.title if self.card else self.name

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self.header.file_size


def carried_models(
    paths: Iterable[Path], on_error: Callable[[ModelFileError], None] | None = None
) -> Iterator[CarriedModel]:
    """Facts of the models at `paths`, installed or not. Reads headers only.

    Raises ModelFileError; with `on_error`, that model is left out, and `on_error` gets the error.
    """
    here = {one.path.absolute(): one for one in installed()}
    for path in paths:
        try:
            model = _carried(path, here.get(path.absolute()))
        except ModelFileError as error:
            if on_error is None:
                raise
            on_error(error)
        else:
            yield model


def _carried(path: Path, here: Installed | None) -> CarriedModel:
    header = read_parts(path)
    card = (here.card if here else None) or match_header(header)
    entry = here.entry if here else None
    origin, is_fresh = entry.origin if entry else "", _is_fresh(entry)
    # A file that the user put there may change; one that was got and checked may not.
    files = entry.files if entry and (is_fresh or origin) else ()
    hashes = {file.place.name: file.sha256 for file in files if file.sha256}
    license_ = _license(card, header, entry)
    return CarriedModel(_name(header), header.parts, header, card, license_, origin, hashes, is_fresh)


def facts_text(model: CarriedModel) -> str:
    """Facts of a model as TOML: what its importer cannot read from the GGUF itself."""
    facts = {
        "name": model.name,
        "architecture": model.header.architecture,
        "type": model.header.file_type_name,
        "parameters": model.header.n_params,
        "size": model.size,
        "sha256": model.hashes.get(model.files[0].name, "") if len(model.files) == 1 else "",
        "license": model.license.line,
        "origin": model.origin,
        "source": model.card.source_url if model.card else "",
    }
    return "".join(f"{key} = {_toml(value)}\n" for key, value in facts.items() if value)


def read_facts(folder: Path) -> dict[str, Any]:
    """Facts of the exported model in `folder`; empty where there are none that can be read."""
    try:
        return tomllib.loads(read_small_file(folder / FACTS_FILE).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}


def card_text(card: Card) -> str:
    """Card as its TOML file has it."""
    return (resources.files("seallm_edge.models") / f"{card.name}.toml").read_text(encoding="utf-8")


def license_text(model: CarriedModel) -> str:
    """Licence of a model for people: name, link, terms, and texts that lie beside its file."""
    own = model.license
    lines = [
        model.title,
        f"Licence: {own.name or 'not stated in the file: ask those who made the model'}",
        own.link,
        own.summary and f"In short: {own.summary}.",
        own.passing_on and f"Passing it on: {own.passing_on}.",
    ]
    head = "\n".join(filter(None, lines))
    texts = (_text(path).removeprefix(head).strip() for path in _license_files(model.files[0].parent))
    return "\n\n".join([head, *filter(None, texts)]) + "\n"


def _license(card: Card | None, header: Header, entry: Entry | None) -> License:
    """Licence of a model: its card's, else the one that was shown when it was got, else what its file states."""
    if card:
        return License.of_card(card)
    if entry and entry.license and (shown := License.from_line(entry.license)).name:
        return shown
    found = {key: header.metadata.get(f"general.license{key}") for key in ("", ".name", ".link")}
    stated = {key: one_line(value) for key, value in found.items() if isinstance(value, str)}
    return License(stated.get(".name") or stated.get("", ""), stated.get(".link", ""))


def one_line(text: str) -> str:
    """Text of a header as one line, without characters that control a terminal."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable())[:200]


def _name(header: Header) -> str:
    part = split_name(header.parts[0])
    return part.model if part else header.parts[0].stem


def _is_fresh(entry: Entry | None) -> bool:
    """Whether no file was written to since its hash was recorded."""
    return all(file.place.stat().st_mtime_ns == file.mtime_ns for file in (entry.files if entry else ()))


def _license_files(folder: Path) -> list[Path]:
    names = ("license", "licence", "notice", "copying")
    try:
        return sorted(path for path in folder.iterdir() if path.name.lower().startswith(names))
    except OSError:
        return []


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return read_small_file(path).decode("utf-8", "replace") if path.suffix != ".gguf" else ""
    return ""


def _toml(value: object) -> str:
    """TOML value: its basic strings are JSON's, except for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
