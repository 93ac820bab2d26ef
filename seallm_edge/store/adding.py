"""Adding of finished, checked files to the store: each model gets a folder that is named by its sha256."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from .. import paths
from ..errors import StoreError
from ..files.atomic import sync_folder
from ..files.companions import companions
from ..gguf_file import read_header
from . import index
from .index import StoredFile, described, stored_file
from .installed import Installed, installed, installed_at

_DIGITS = 12  # of the sha256 in a folder's name


def add(
    files: Sequence[Path],
    *,
    origin: str,
    license: str = "",  # noqa: A002
    sha256s: Mapping[str, str],
    sources: Mapping[str, str] = MappingProxyType({}),
) -> Installed:
    """Move a model's files into the store: the installed model.

    `files` are the finished, checked files of one GGUF, the first part first, on the disk of the models folder;
    `sha256s` are theirs by file name, `sources` those of the official weights that they were made from.

    Content that the store has already is not kept twice: `files` are removed. A kill at any moment leaves the files
    either where they were or in the store. Raises StoreError, ModelFileError.
    """
    own = sha256s[files[0].name]
    if (existing := find_content(own)) is not None and existing.is_kept:
        _remove(files)
        return existing
    header = read_header(files[0])
    folder = paths.models_dir() / own[:_DIGITS]
    records = tuple(_record_at(folder / file.name, file, sha256s[file.name]) for file in files)
    facts = {"origin": origin, "license": license, "sources": dict(sources)}
    entry = described(header, records, **facts, added=time.time(), verified=time.time())
    index.put(entry)  # first: files without a record would be fetched again after a kill
    _move(files, folder)
    _discard_links(own)
    return installed_at(entry.path)


def record_in_place(path: Path, *, origin: str, sha256s: Mapping[str, str], license: str = "") -> Installed:  # noqa: A002
    """Record a model that stays where it is, by its (first) file: the installed model.

    `sha256s` are those of its files by name, as far as they are known. Raises StoreError, ModelFileError.
    """
    header = read_header(Path(path).absolute())
    with _translated(path):
        files = tuple(stored_file(part, sha256s.get(part.name)) for part in header.parts)
    verified = time.time() if all(file.sha256 for file in files) else None
    index.put(described(header, files, origin=origin, license=license, added=time.time(), verified=verified))
    return installed_at(header.parts[0])


def find_content(sha256: str) -> Installed | None:
    """Installed model whose (first) file has this sha256; those in the store before linked ones."""
    found = [model for model in installed() if _sha256_of(model) == sha256]
    found.sort(key=lambda model: not model.is_kept)
    return found[0] if found else None


def _sha256_of(model: Installed) -> str | None:
    """sha256 of a model's (first) file, by the index, or by the card of a package's file."""
    if model.entry and model.entry.sha256:
        return model.entry.sha256 if model.entry.is_here else None
    return model.card.file_sha256.get(model.type_name) if model.card and model.package else None


def _record_at(place: Path, file: Path, sha256: str) -> StoredFile:
    with _translated(file):
        status = file.stat()
    return StoredFile(index.relative(place), status.st_size, status.st_mtime_ns, sha256)


def _move(files: Sequence[Path], folder: Path) -> None:
    """Move a model's files; the first part last, since a model is listed by it."""
    with _translated(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for file in reversed(files):
            for companion in companions(file):
                companion.replace(folder / companion.name)
            file.replace(folder / file.name)
        sync_folder(folder)
        sync_folder(folder.parent)


def _remove(files: Sequence[Path]) -> None:
    for file in files:
        for each in (file, *companions(file)):
            with contextlib.suppress(OSError):  # `gc` finds what stays
                each.unlink(missing_ok=True)


def _discard_links(sha256: str) -> None:
    """Remove the records of linked files with the content that the store has itself now, and links to them."""
    with index.changed() as known:
        for path, entry in list(known.items()):
            if entry.is_linked and entry.sha256 == sha256:
                index.remove_link(entry)
                del known[path]


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"{error.filename or path} cannot be stored: {error.strerror or error}"
        raise StoreError(problem, "check the disk and its permissions, then run the same command again") from error
