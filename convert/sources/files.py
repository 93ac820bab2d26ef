"""Files of a checkpoint: in a folder, one .safetensors with its settings beside it, or a repository of a hub."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Protocol

from seallm_edge.errors import CheckpointError
from seallm_edge.hints import Command, Hint

from .shards import LocalShard, Shard

if TYPE_CHECKING:
    from seallm_edge.hub import Network

HUB_PREFIX = "hf:"
_POINTER = b"version https://git-lfs"  # ref: git-lfs docs/spec.md; a pointer file, where the real one is not fetched
WHOLE_CHECKPOINT = "give the folder of a checkpoint: config.json, tokenizer.json and *.safetensors"


class Files(Protocol):
    """The files of one checkpoint."""

    @property
    def path(self) -> PurePath:
        """The checkpoint's path, for messages."""

    @property
    def name(self) -> str:
        """The checkpoint's name, such as "SeaLLMs-v3-7B-Chat"."""

    @property
    def origin(self) -> str:
        """The checkpoint's origin, for people."""

    @property
    def license(self) -> str:
        """A sentence on the licence, for the user before the weights are fetched; empty for local files."""

    def names(self) -> frozenset[str]:
        """Every file's name."""

    def read(self, name: str) -> bytes:
        """A small file, whole. Raises CheckpointError or HubError."""

    def shard(self, name: str) -> Shard:
        """A file of weights. Raises CheckpointError or HubError."""


class LocalFiles:
    """A folder on this computer; with `only`, just that .safetensors of it."""

    license = ""

    def __init__(self, folder: Path, only: str | None = None) -> None:
        self.path = folder
        self._only = only

    @property
    def name(self) -> str:
        """The folder's own name, also where it is a link to another; of a hub's cache, the repository's."""
        own = Path(os.path.abspath(self.path))  # noqa: PTH100  resolve() would follow links
        # A hub cache keeps revisions by hash: models--ORG--NAME/snapshots/REVISION.
        if own.parent.name == "snapshots" and (cached := own.parent.parent.name).startswith("models--"):
            return cached.rpartition("--")[2]
        return own.name or "model"

    @property
    def origin(self) -> str:
        """The folder."""
        return str(self.path)

    def names(self) -> frozenset[str]:
        """Every file's name; with `only`, no other .safetensors."""
        try:
            found = frozenset(entry.name for entry in self.path.iterdir())
        except OSError as error:
            problem = f"cannot be listed: {error.strerror}"
            raise CheckpointError(self.path, problem, "check the folder's permissions") from error
        if self._only is None:
            return found
        is_other = (name for name in found if ".safetensors" in name and name != self._only)
        return found - frozenset(is_other)

    def read(self, name: str) -> bytes:
        """A file, whole."""
        path = self.path / name
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            problem = f"is no whole checkpoint: it has no {name}"
            raise CheckpointError(self.path, problem, WHOLE_CHECKPOINT) from error
        except OSError as error:
            raise CheckpointError(path, f"cannot be read: {error.strerror}", WHOLE_CHECKPOINT) from error
        _check_no_pointer(path, content)
        return content

    def shard(self, name: str) -> Shard:
        """A file of weights."""
        shard = LocalShard(self.path / name)
        head = bytearray(min(len(_POINTER), shard.size))
        shard.read(0, memoryview(head))
        shard.close()
        _check_no_pointer(shard.path, head)
        return shard


def _check_no_pointer(path: Path, content: bytes | bytearray) -> None:
    if content.startswith(_POINTER):
        raise CheckpointError(path, "is a Git LFS pointer, not the file itself", "fetch the files: git lfs pull")


def open_files(source: str | Path, network: Network | None = None) -> Files:
    """Open the checkpoint files of `source`: a folder, a .safetensors, or `hf:ORG/NAME[@REVISION]` over `network`.

    Raises CheckpointError, and for a hub HubError and InvalidOption.
    """
    if isinstance(source, str) and source.startswith(HUB_PREFIX):
        from .hub_files import HubFiles

        return HubFiles(source.removeprefix(HUB_PREFIX), network)
    path = Path(source)
    if path.is_dir():
        return LocalFiles(path)
    if path.suffix == ".safetensors" and path.is_file():
        return LocalFiles(path.parent, only=path.name)
    raise _no_checkpoint(path)


def _no_checkpoint(path: Path) -> CheckpointError:
    if path.suffix == ".gguf" and path.is_file():
        hint = Hint(
            "quantize it: {quantize}, or chat with it: {chat}",
            quantize=Command("quantize", (str(path), "OUT.gguf")),
            chat=Command("chat", (str(path),)),
        )
        return CheckpointError(path, "is a GGUF file already", hint)
    if path.exists():
        return CheckpointError(path, "is a file, not a folder", WHOLE_CHECKPOINT)
    if len(path.parts) == 2 and not path.parent.exists():
        convert = Command("convert", (f"{HUB_PREFIX}{path.as_posix()}",))
        return CheckpointError(path, "there is no such folder", Hint("from the hub: {convert}", convert=convert))
    return CheckpointError(path, "there is no such folder", WHOLE_CHECKPOINT)
