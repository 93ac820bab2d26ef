"""Download of a ready GGUF: of a hub's repository (split ones too), or at a URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ...catalogue.cards import Card, match
from ...errors import HashMismatch, StoreError
from ...files.companions import is_companion_gguf
from ...files.record_file import journal_path, read_records
from ...files.sizes import readable
from ...gguf_file import read_header, split_name
from ...gguf_file.types import type_in
from ...hints import Hint, Option
from ...hub import Network, RemoteFile, RemoteSource, Repository, download, measured_speed
from ...hub.addresses import without_secrets
from ..licenses import License
from ..origins import origin_of, share_of
from .choosing import Candidate, Free, best, smallest
from .fetch import (
    Fetched,
    check_pinned,
    check_published,
    digest_of,
    license_of,
    memory_of,
)
from .first_bytes import check_first_bytes
from .lock import Ticket
from .offer import DOWNLOAD
from .progress import Reporter
from .wanted import Wanted

_MAX_LISTED = 12  # files that an error names


@dataclass(frozen=True)
class RemoteModel:
    """GGUF model in a repository: its name without a part's number, its files, the first part first, and its type."""

    name: str
    files: tuple[RemoteFile, ...]
    n_parts: int
    type_name: str

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(file.size for file in self.files)


class Download:
    """Download of the files of a GGUF: a `Fetch`."""

    way: str = DOWNLOAD

    def __init__(
        self, ticket: Ticket, title: str, reason: str, license_: License, sources: Sequence[RemoteSource],
        card: Card | None,
    ) -> None:  # fmt: skip
        self.ticket = ticket
        self.title = title
        self.reason = reason
        self.license = license_
        self.card = card
        self.network = self.disk = sum(source.size for source in sources)
        self.memory = memory_of(self.disk, card)
        self.sha256 = sources[0].sha256
        self._sources = tuple(sources)

    def n_done(self) -> int:
        """Bytes that an earlier run has safely on the disk."""
        return sum(self._here(source) for source in self._sources)

    def check(self) -> None:
        """Refuse a first file that is no model by its first bytes."""
        if not self._path(self._sources[0]).exists():
            check_first_bytes(self._sources[0])

    def speed(self, network: Network) -> float | None:
        """Measured bytes per second."""
        return measured_speed(self._sources[0], network)

    def fetch(self, network: Network, reporter: Reporter) -> Fetched:
        """Fetch the missing bytes of every part, and check the header over all parts."""
        before, hashes = 0, {}
        for source in self._sources:
            path = self._path(source)

            def progress(done: int, _size: int, before: int = before) -> None:
                reporter.fetched(before + done, self.network)

            hashes[path.name] = download(source, path, progress=progress)
            if source.sha256 and hashes[path.name] != source.sha256:
                raise HashMismatch(path.name, source.sha256, hashes[path.name])
            before += source.size
        files = tuple(self._path(source) for source in self._sources)
        reporter.checking(self.network, self.network)
        read_header(files[0])
        return Fetched(files, hashes)

    def _path(self, source: RemoteSource) -> Path:
        return self.ticket.folder / PurePosixPath(source.name).name

    def _here(self, source: RemoteSource) -> int:
        path = self._path(source)
        if path.exists():
            return source.size
        if not source.is_pinned:  # it starts over
            return 0
        received = [record["at"] for record in read_records(journal_path(path)) if "at" in record]
        return min(received[-1] if received else 0, source.size)


def models_in(repository: Repository) -> tuple[RemoteModel, ...]:
    """GGUF models of a repository, the largest first."""
    groups: dict[tuple[str, str, int], dict[int, RemoteFile]] = {}
    for name, file in repository.files.items():
        path = PurePosixPath(name)
        if path.suffix.lower() != ".gguf" or is_companion_gguf(path.name):
            continue
        part = split_name(Path(path.name))
        key = (str(path.parent), part.model if part else path.stem, part.count if part else 1)
        groups.setdefault(key, {})[part.number if part else 1] = file
    models = [
        RemoteModel(name, tuple(file for _, file in sorted(files.items())), count, type_in(name))
        for (_, name, count), files in groups.items()
    ]
    return tuple(sorted(models, key=lambda model: -model.size))


def gguf_download(
    repository: Repository, wanted: Wanted, network: Network, free: Free, *, begun: Ticket | None, type_name: str | None
) -> Download:
    """Download of one GGUF of a repository: the wanted file, else that of this type, else the one that was `begun`,
    else the best that fits. Raises StoreError with the choices.
    """
    found, reason = _chosen(repository, wanted, type_name, begun, free)
    if len(found.files) != found.n_parts:
        problem = f"{repository.id} holds {len(found.files)} of the {found.n_parts} parts of {found.name}"
        raise StoreError(problem, "name another file, or ask the repository's owner")
    check_pinned(repository, found.files)
    is_chosen_here = not (wanted.type_name or wanted.file)
    origin = share_of(network) or origin_of(repository)
    ticket = Ticket(wanted.name, found.name, found.type_name, origin, digest_of(found.files), is_chosen_here)
    card = wanted.card or match(found.name)
    sources = [repository.source(part) for part in found.files]
    if wanted.card and not wanted.is_gguf:
        published = check_published(repository, found.files[0], wanted.card, found.type_name)
        sources[0] = replace(sources[0], sha256=sources[0].sha256 or published)
    return Download(ticket, found.name, reason, license_of(repository, card), sources, card)


def url_download(source: RemoteSource, url: str) -> Download:
    """Download of the GGUF at a URL; the origin leaves signatures out.

    Raises StoreError for another kind of file, and for one part of several.
    """
    path = Path(source.name)
    if path.suffix.lower() != ".gguf":
        raise StoreError(f"{source.name} is no GGUF file by its name", "give the URL of a file that ends in .gguf")
    if part := split_name(path):
        problem = f"{source.name} is part {part.number} of {part.count} of a model"
        raise StoreError(problem, "name the hub's repository instead of a URL: all parts are got then")
    type_name = type_in(path.stem)
    ticket = Ticket(path.stem, path.stem, type_name, without_secrets(url), digest_of([], source.identity))
    reason = _stated(path.stem, type_name, source.size, "the file at this URL")
    return Download(ticket, path.stem, reason, License(""), [source], match(path.stem))


def _chosen(
    repository: Repository, wanted: Wanted, type_name: str | None, begun: Ticket | None, free: Free
) -> tuple[RemoteModel, str]:
    models = models_in(repository)
    earlier = [model for model in models if begun and (model.name, model.type_name) == (begun.name, begun.type_name)]
    if wanted.file:
        found = [model for model in models if _is_named(model, wanted.file)]
        why = "the file that was named"
    elif type_name:
        found = [model for model in models if model.type_name == type_name]
        why = "the type that was asked for"
    elif len(earlier) == 1:
        found, why = earlier, "begun in an earlier run"
    elif len(models) == 1:
        found, why = list(models), "the only one there"
    else:
        return _best(repository, models, free, wanted.card)
    if len(found) != 1:
        raise _not_one(repository, models, found, wanted.file or type_name or "")
    return found[0], _stated(found[0].name, found[0].type_name, found[0].size, why)


def _best(
    repository: Repository, models: Sequence[RemoteModel], free: Free, card: Card | None
) -> tuple[RemoteModel, str]:
    typed = {model.type_name: model for model in reversed(models) if model.type_name}
    offered = [
        Candidate(name, model.size, memory_of(model.size, card or match(model.name)))
        for name, model in sorted(typed.items(), key=lambda pair: -pair[1].size)
    ]
    if not offered:
        raise _not_one(repository, models, models, "")
    chosen = best(offered, free) or smallest(offered)
    same = [model for model in models if model.type_name == chosen.candidate.type_name]
    if len(same) > 1:  # of different models: which one is not ours to choose
        raise _not_one(repository, models, same, chosen.candidate.type_name)
    return same[0], chosen.reason


def _is_named(model: RemoteModel, file: str) -> bool:
    names = [name for part in model.files for name in (part.name, PurePosixPath(part.name).name)]
    wanted = {name.casefold() for name in (model.name, model.type_name, *names) if name}
    return file.casefold() in wanted


def _stated(name: str, type_name: str, size: int, why: str) -> str:
    return f"{type_name or name}: {readable(size)}, {why}"


def _not_one(
    repository: Repository, models: Sequence[RemoteModel], found: Sequence[RemoteModel], wanted: str
) -> StoreError:
    said = f" that {wanted!r} names" if wanted else ""
    problem = f"{repository.id} holds {len(found) or 'no'} GGUF files{said}"
    listed = ", ".join(f"{model.name} ({readable(model.size)})" for model in (found or models)[:_MAX_LISTED])
    more = f" and {len(models) - _MAX_LISTED} more" if len(found or models) > _MAX_LISTED else ""
    hint = Hint("name one with {gguf}: {listed}", gguf=Option("gguf", f"{repository.id}:FILE"), listed=listed + more)
    return StoreError(problem, hint if listed else "check the repository's name")
