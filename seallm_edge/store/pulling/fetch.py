"""Sources of a pull: the protocol that its ways share, and what both know of types, licences and memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ...catalogue.cards import Card
from ...errors import InvalidOption, StoreError, did_you_mean
from ...gguf_file.types import FILE_TYPES
from ...hints import Hint, Option
from ...hub import Network, RemoteFile, Repository
from ...plan.memory import PROCESS_BYTES, working_bytes
from ..installed import Installed, installed
from ..licenses import License
from ..origins import origin_of
from .lock import Ticket
from .progress import Reporter

# Weights that may hold code: Python's pickle runs what a file says. They are named in refusals, and never opened.
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
# Of the weights, for KV cache and buffers of a model whose shape is not known before its header is here.
_UNKNOWN_SHAPE = 0.15


@dataclass(frozen=True)
class Fetched:
    """Finished, checked files of a model, the first part first, and the sha256 of each by its name.

    `sources` are the sha256 of the official weights that it was converted from.
    """

    files: tuple[Path, ...]
    sha256s: Mapping[str, str]
    sources: Mapping[str, str] = field(default_factory=dict)


class Fetch(Protocol):
    """Way to get a model: a conversion of official weights, or a download of a GGUF."""

    ticket: Ticket
    card: Card | None
    title: str
    reason: str
    way: str
    license: License
    sha256: str | None  # of the (first) file, where it is known before it is here
    network: int  # bytes to receive from the beginning on
    disk: int  # bytes of the finished files
    memory: int  # bytes that the model needs to run

    def n_done(self) -> int:
        """Bytes to receive that an earlier run has safely on the disk."""

    def check(self) -> None:
        """Refuse by its first bytes what cannot be run here. Raises ModelFileError, HubError."""

    def speed(self, network: Network) -> float | None:
        """Measured bytes per second; None where it cannot be measured."""

    def fetch(self, network: Network, reporter: Reporter) -> Fetched:
        """Fetch into the ticket's folder what is missing there. Raises what the hub and the converter raise."""


def known_type(name: str) -> str:
    """Type as GGUF files name it, whatever its case. Raises InvalidOption for an unknown one."""
    folded = {kind.lower(): kind for kind in FILE_TYPES.values()}
    if name.lower() not in folded:
        hint = "give one such as Q4_K_M, Q5_K_M, Q8_0"
        raise InvalidOption(f"unknown type {name!r}{did_you_mean(name, FILE_TYPES.values())}", hint)
    return folded[name.lower()]


def digest_of(files: Iterable[RemoteFile], *more: str) -> str:
    """Digest of the contents of files as the hub lists them; the same for a later commit that leaves them alone."""
    facts = [[file.name, file.size, file.sha256 or file.blob_id] for file in files]
    return hashlib.sha256(json.dumps([facts, more]).encode()).hexdigest()


def license_of(repository: Repository, card: Card | None) -> License:
    """Licence of a card's model as the card states it, whatever a mirror says; of another, as its repository does."""
    if card:
        return License.of_card(card)
    return License(repository.license or "", repository.license_link or "")


def memory_of(size: int, card: Card | None) -> int:
    """Memory that a GGUF of this many bytes needs to run; about, where no card knows its shape."""
    return size + (working_bytes(card.shape) if card else int(size * _UNKNOWN_SHAPE) + PROCESS_BYTES)


def refuse_pickles(repository: Repository) -> StoreError:
    """Error for a repository without safetensors and GGUF files, which names its pickles."""
    pickles = sorted(name for name in repository.files if name.lower().endswith(PICKLES))
    if pickles:
        held = f"holds its weights as {pickles[0]} only: a pickle, which can run code when it is opened"
        return StoreError(f"{repository.id} {held}", "name a repository with *.safetensors or *.gguf")
    return StoreError(f"{repository.id} holds no model: no *.safetensors and no *.gguf", "check the repository's name")


def check_pinned(repository: Repository, files: Sequence[RemoteFile]) -> None:
    """Raise StoreError if the hub now lists another sha256 for a file than the one pinned when it was got."""
    pinned = {name: digits for entry in installed() for name, digits in _pinned(entry, origin_of(repository))}
    for file in files:
        name = file.name.rpartition("/")[2]
        if file.sha256 and pinned.get(name, file.sha256) != file.sha256:
            problem = (
                f"{file.name} of {repository.id} is another file than the one got before from the same commit "
                f"{repository.revision[:12]}: its sha256 was {pinned[name][:12]}…, and is {file.sha256[:12]}… now"
            )
            hint = "a commit cannot change: the hub or the network is not to be trusted; ask the repository's owner"
            raise StoreError(problem, Hint(hint))


def check_published(repository: Repository, file: RemoteFile, card: Card, type_name: str) -> str | None:
    """The sha256 that a card gives for its published file of this type, None if it gives none.

    Raises StoreError if the hub lists another.
    """
    published = card.file_sha256.get(type_name)
    if published and file.sha256 and file.sha256 != published:
        problem = f"{file.name} of {repository.id} is not the file that was published as {card.name} ({type_name})"
        said = f"its sha256 is {file.sha256[:12]}…, and not {published[:12]}…"
        raise StoreError(
            f"{problem}: {said}",
            Hint("use another hub, or name it: {gguf}", gguf=Option("gguf", f"{repository.id}:{file.name}")),
        )
    return published


def _pinned(one: Installed, origin: str) -> list[tuple[str, str]]:
    if one.entry is None or one.entry.origin != origin:
        return []
    files = {Path(file.path).name: file.sha256 for file in one.entry.files if file.sha256}
    return [*files.items(), *one.entry.sources.items()]
