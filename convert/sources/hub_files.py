"""Checkpoint files on a hub: settings are fetched whole, weights are streamed."""

from __future__ import annotations

import logging
from pathlib import PurePosixPath

from seallm_edge.catalogue import cards
from seallm_edge.errors import CheckpointError
from seallm_edge.hub import Network, RemoteFile, Repository, open_repository

from .shards import ShardStream

_log = logging.getLogger(__name__)

_HEAD_BYTES = 1 << 18  # usually a shard's whole header: one request instead of two


class HubFiles:
    """Checkpoint files of the repository `spec`: "ORG/NAME" or "ORG/NAME@REVISION".

    `network` None is one whose trouble is logged.
    """

    def __init__(self, spec: str, network: Network | None = None) -> None:
        self._repository = open_repository(spec, network or Network(on_trouble=_log.warning))
        self._small: dict[str, bytes] = {}
        self.path = PurePosixPath(self._repository.id)

    @property
    def name(self) -> str:
        """The repository's name without its owner."""
        return self.path.name

    @property
    def origin(self) -> str:
        """The repository and its commit."""
        return f"{self._repository.id}@{self._repository.revision[:12]}"

    @property
    def license(self) -> str:
        """The licence's name and where to read it, by the repository or by the catalogue."""
        card = cards.match(self.name)
        name = self._repository.license or (card.license_name if card else "not stated")
        link = self._repository.license_link or (card.license_url if card else "")
        return f"{self.origin} comes under the licence {name}" + (f": {link}" if link else "")

    def names(self) -> frozenset[str]:
        """Every file's name, without those in subfolders, which are not the checkpoint's."""
        return frozenset(name for name in self._repository.files if "/" not in name)

    def read(self, name: str) -> bytes:
        """A small file, whole, fetched once."""
        if name not in self._repository.files:
            problem = f"is no whole checkpoint: it has no {name}"
            hint = "name a repository with config.json, tokenizer.json and *.safetensors"
            raise CheckpointError(self.path, problem, hint)
        if name not in self._small:
            self._small[name] = self._repository.read(name)
        return self._small[name]

    def shard(self, name: str) -> HubShard:
        """A file of weights."""
        return HubShard(self._repository, self._repository.files[name])


class HubShard:
    """Shard in a hub's repository: a `StreamedShard`."""

    def __init__(self, repository: Repository, file: RemoteFile) -> None:
        self._repository = repository
        self._file = file
        self._head = b""
        self.path = PurePosixPath(repository.id) / file.name

    @property
    def size(self) -> int:
        """Bytes."""
        return self._file.size

    @property
    def identity(self) -> str:
        """The file's sha256, where the hub has it; else its git hash."""
        return self._file.sha256 or self._file.blob_id or ""

    def read(self, offset: int, target: memoryview) -> None:
        """Fill `target` from `offset` on. Each call is a request, except within the first 256 KiB."""
        end = offset + len(target)
        if end <= _HEAD_BYTES and not self._head:
            self._head = self._repository.read_range(self._file, 0, min(_HEAD_BYTES, self.size))
        if end <= len(self._head):
            target[:] = self._head[offset:end]
        else:
            target[:] = self._repository.read_range(self._file, offset, len(target))

    def stream(self, offset: int, state: bytes | None) -> ShardStream:
        """The file from `offset` to its end."""
        return self._repository.stream(self._file, offset, state)

    def close(self) -> None:
        """Forget the cached header. Streams are closed by their readers."""
        self._head = b""
