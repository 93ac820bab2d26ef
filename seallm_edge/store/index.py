"""Index of the models on this computer: one `Entry` a model, in `index.json` of the models folder.

The index adds facts to files: where they came from, their sha256, when they were verified. Files without an entry work
too, and `rebuilding` makes an index from the files.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .. import paths
from ..errors import StoreError
from ..files import atomic
from ..files.hashes import SHA256
from ..files.locking import waited_lock
from ..gguf_file import Header, fingerprint
from ..hints import Command, Hint, Option

logger = logging.getLogger("seallm_edge")

FORMAT = 1
LINKED = "linked"  # folder of links to files whose own names say nothing
_LOCK_SECONDS = 30.0
_REBUILD = Hint("make it again from the files: {verify}", verify=Command("verify", (), (Option("rebuild", True),)))


@dataclass(frozen=True)
class StoredFile:
    """File of a model: `path` relative to the models folder, or absolute for a file elsewhere; size in bytes.

    `mtime_ns` is its modification time in nanoseconds when its content was last known to be that of `sha256`.
    """

    path: str
    size: int
    mtime_ns: int
    sha256: str | None = None

    @property
    def place(self) -> Path:
        """Absolute path."""
        return paths.models_dir() / self.path


@dataclass(frozen=True)
class Entry:
    """Record of a model: its files (of a split model all parts, the first one first) and what is known of them.

    fingerprint   of the header (`gguf_file.fingerprint`); "" where unknown
    type_name     quantization type, by the header
    origin        "hf:ORG/NAME@COMMIT", a URL, "import:PATH"; "" for a file that the user put there
    license       name and link, as they were shown
    sources       sha256 of the official weights that it was converted from, by their names
    added, verified   seconds since 1970; `verified` is when all bytes were last compared with their sha256
    """

    files: tuple[StoredFile, ...]
    fingerprint: str = ""
    type_name: str = ""
    origin: str = ""
    license: str = ""
    sources: Mapping[str, str] = field(default_factory=dict, hash=False)
    added: float = 0.0
    verified: float | None = None

    @property
    def path(self) -> Path:
        """Absolute path of the file, or of the first part."""
        return self.files[0].place

    @property
    def sha256(self) -> str | None:
        """sha256 of the file, or of the first part."""
        return self.files[0].sha256

    @property
    def is_linked(self) -> bool:
        """Whether the files stay outside the models folder, where a link in it (`LINKED`) may name one."""
        return Path(self.files[0].path).is_absolute() or self.files[0].path.startswith(f"{LINKED}/")

    @property
    def is_here(self) -> bool:
        """Whether every file is there, with its size."""
        with contextlib.suppress(OSError):
            return all(file.place.stat().st_size == file.size for file in self.files)
        return False

    @property
    def is_gone(self) -> bool:
        """Whether the (first) file is not there, so that the model is no longer listed."""
        return not self.path.exists()


def described(header: Header, files: tuple[StoredFile, ...], **facts: Any) -> Entry:
    """Entry with the facts of a header, and other `facts`. Raises ModelFileError if the file changed meanwhile."""
    return Entry(files, fingerprint(header), header.file_type_name, **facts)


def stored_file(path: Path, sha256: str | None = None) -> StoredFile:
    """Record of a file as it is now. Raises OSError."""
    status = path.stat()
    return StoredFile(relative(path), status.st_size, status.st_mtime_ns, sha256)


def relative(path: Path) -> str:
    """Path as the index writes it: relative to the models folder with slashes, else absolute."""
    absolute, models = Path(os.path.abspath(path)), Path(os.path.abspath(paths.models_dir()))  # noqa: PTH100  keeps links
    return absolute.relative_to(models).as_posix() if models in absolute.parents else str(absolute)


def entries() -> tuple[Entry, ...]:
    """All entries, also of files that are missing now. None where the index is missing; a damaged one is logged."""
    try:
        return _read()
    except StoreError as error:
        logger.warning("%s", error)
        return ()


def entry_of(path: Path) -> Entry | None:
    """Entry of a model by the path of its (first) file."""
    written = relative(path)
    return next((entry for entry in entries() if entry.files[0].path == written), None)


def put(entry: Entry) -> None:
    """Write an entry in place of any other of the same path. Raises StoreError."""
    with changed() as known:
        known[entry.files[0].path] = entry


def discard(entry: Entry) -> None:
    """Remove an entry; its files stay. Raises StoreError."""
    with changed() as known:
        known.pop(entry.files[0].path, None)


def remove_link(entry: Entry) -> None:
    """Remove the link to a linked model's file, if it has one in the models folder; the file stays. Raises OSError."""
    if entry.is_linked and not Path(entry.files[0].path).is_absolute():
        entry.path.unlink(missing_ok=True)
        for folder in (entry.path.parent, paths.models_dir() / LINKED):
            with contextlib.suppress(OSError):  # other links are in it
                folder.rmdir()


def check_writable() -> None:
    """Raise StoreError if the store cannot be changed: it is of a later version, or its folder is not writable."""
    with changed():
        pass


@contextlib.contextmanager
def changed() -> Iterator[dict[str, Entry]]:
    """Entries by the path of their first file, to be changed; written at the end, if they are others then.

    Other processes wait meanwhile. A damaged index is kept beside as `index.json.damaged`. Raises StoreError.
    """
    file = paths.index_file()
    with _translated_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with waited_lock(file.with_name(".lock"), _LOCK_SECONDS):
            before = {entry.files[0].path: entry for entry in _read_or_set_aside(file)}
            after = dict(before)
            yield after
            if after != before or not file.exists():
                atomic.write_text(file, _written(after))


def _read() -> tuple[Entry, ...]:
    """Entries of the file. Raises StoreError if it is damaged or of a later format."""
    file = paths.index_file()
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data["format"] > FORMAT:
            problem = f"{file} was written by a later seallm-edge ({data.get('version')})"
            raise StoreError(problem, "update seallm-edge, or set SEALLM_HOME to another folder")
        return tuple(_entry(record) for record in data["models"])
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror}", "check its permissions") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedIndex(f"{file} is damaged", _REBUILD) from error


class DamagedIndex(StoreError):
    """Index that cannot be parsed. Internal to the store: its files go on working."""


def _read_or_set_aside(file: Path) -> tuple[Entry, ...]:
    try:
        return _read()
    except DamagedIndex as error:
        aside = file.with_name(f"{file.name}.damaged")
        file.replace(aside)
        logger.warning("%s; it is kept as %s", error.message, aside.name)
        return ()


def _entry(record: Mapping[str, Any]) -> Entry:
    """Entry from JSON. Unknown fields of a later version are left out. Raises KeyError, TypeError, ValueError."""
    files = tuple(_file(file) for file in record["files"])
    if not files:
        raise ValueError("no files")
    texts = {name: str(record.get(name, "")) for name in ("fingerprint", "type_name", "origin", "license")}
    verified = record.get("verified")
    added = float(record.get("added", 0))
    sources = {str(name): str(digits) for name, digits in record.get("sources", {}).items()}
    return Entry(files, **texts, sources=sources, added=added, verified=None if verified is None else float(verified))


def _file(record: Mapping[str, Any]) -> StoredFile:
    path, sha256 = str(record["path"]), record.get("sha256")
    if ".." in Path(path).parts or not path:
        raise ValueError(f"{path!r} leaves the models folder")
    if sha256 is not None and not SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r} is no sha256")
    return StoredFile(path, int(record["size"]), int(record["mtime_ns"]), sha256)


def _written(known: Mapping[str, Entry]) -> str:
    import importlib.metadata

    models = [asdict(known[path]) for path in sorted(known)]
    data = {"format": FORMAT, "version": importlib.metadata.version("seallm-edge"), "models": models}
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


@contextlib.contextmanager
def _translated_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise StoreError(f"another program has held {file.parent} for {_LOCK_SECONDS:.0f} s", "end it") from error
    except OSError as error:
        problem = f"cannot write {error.filename or file}: {error.strerror or error}"
        raise StoreError(problem, "check the disk and its permissions, or set SEALLM_HOME to another folder") from error
