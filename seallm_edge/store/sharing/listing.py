"""Repositories of a share: installed models as the hub's protocol lists them. Knows no sockets.

ref: huggingface_hub `HfApi.model_info`, `get_hf_file_metadata`; llama.cpp common/hf-cache.cpp
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ModelFileError, StoreError
from ..carrying.carried import CarriedModel, carried_models
from ..carrying.copying import Progress, read_back
from ..installed import Installed, installed_at
from ..licenses import License
from ..origins import repository_of
from ..verifying import record_verified

MAIN = "main"
_LOCAL = "local"  # organisation of models without a card
_POINTER_BYTES = 135  # of a Git LFS pointer, which the hub lists


@dataclass(frozen=True)
class SharedFile:
    """File of a share: its name in the repository, its path here, and size, modification time and sha256 as listed."""

    name: str
    path: Path
    size: int
    mtime_ns: int
    sha256: str

    @property
    def is_as_listed(self) -> bool:
        """Whether the file was not written to since it was listed."""
        with contextlib.suppress(OSError):
            status = self.path.stat()
            return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)
        return False


@dataclass(frozen=True)
class SharedRepository:
    """Repository of a share: `ORG/NAME`, the licence, and its files by name."""

    id: str
    license: License
    files: Mapping[str, SharedFile]

    @property
    def commit(self) -> str:
        """Commit of its contents: 40 hexadecimal digits that differ when a name or a hash does."""
        listing = "".join(f"{file.sha256}  {name}\n" for name, file in sorted(self.files.items()))
        return hashlib.sha256(listing.encode()).hexdigest()[:40]

    def has_revision(self, revision: str) -> bool:
        """Whether a revision names this commit."""
        return revision in (MAIN, self.commit)

    def info(self) -> dict[str, Any]:
        """Repository as `/api/models/ORG/NAME` lists it."""
        card = {"license": "other", "license_name": self.license.name, "license_link": self.license.link}
        return {
            "id": self.id,
            "modelId": self.id,
            "sha": self.commit,
            "private": False,
            "gated": False,
            "disabled": False,
            "tags": ["gguf"],
            "cardData": {key: value for key, value in card.items() if value} if self.license.name else {},
            "siblings": [
                {"rfilename": name, "size": file.size, "blobId": _blob_id(file), "lfs": {
                    "sha256": file.sha256, "size": file.size, "pointerSize": _POINTER_BYTES}}
                for name, file in sorted(self.files.items())
            ],
        }  # fmt: skip

    def tree(self) -> list[dict[str, Any]]:
        """Files as `/api/models/ORG/NAME/tree/REVISION` lists them."""
        return [
            {"type": "file", "path": name, "size": file.size, "oid": _blob_id(file),
             "lfs": {"oid": file.sha256, "size": file.size, "pointerSize": _POINTER_BYTES}}
            for name, file in sorted(self.files.items())
        ]  # fmt: skip

    def refs(self) -> dict[str, Any]:
        """Branches as `/api/models/ORG/NAME/refs` lists them."""
        branch = {"name": MAIN, "ref": f"refs/heads/{MAIN}", "targetCommit": self.commit}
        return {"branches": [branch], "tags": [], "converts": []}


def shared_repositories(
    models: Sequence[Path],
    progress: Progress | None = None,
    on_error: Callable[[ModelFileError], None] | None = None,
) -> dict[str, SharedRepository]:
    """Repositories over the models at these paths by their id; files without a known sha256 are read.

    Raises ModelFileError (with `on_error` that model is left out instead), and StoreError if there is no model.
    """
    found: dict[str, SharedRepository] = {}
    for model in carried_models(models, on_error):
        name = repository_id(model)
        earlier = found[name].files if name in found else {}
        try:
            files = _files(model, earlier, progress)
        except ModelFileError as error:
            if on_error is None:
                raise
            on_error(error)
        else:
            found[name] = SharedRepository(name, model.license, {**earlier, **files})
    if not found:
        raise StoreError("no model is on this computer that could be shared", "get one first")
    return found


def repository_id(model: CarriedModel) -> str:
    """Repository id of a model: its checkpoint's, else the one it came from, else one under `local/` with the letters
    that ids may have.
    """
    if model.card:
        return model.card.source_repo
    if repository := repository_of(model.origin):
        return repository
    name = re.sub(r"[^A-Za-z0-9]+([._]?)[^A-Za-z0-9]*", lambda found: found[1] or "-", model.name).strip("-._")
    digest = hashlib.sha256(model.name.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{_LOCAL}/{name[:80]}" if name and model.name.isascii() else f"{_LOCAL}/model-{digest}"


def _files(model: CarriedModel, earlier: Mapping[str, SharedFile], progress: Progress | None) -> dict[str, SharedFile]:
    """Files of a model by name; in a folder of their own where another model of the repository has these names."""
    hashes = dict(model.hashes if model.is_fresh else {})
    if any(path.name not in hashes for path in model.files):
        hashes = {path.name: read_back(path, progress) for path in model.files}
        _record(model, hashes)
    first = hashes[model.files[0].name]
    if any(file.sha256 == first for file in earlier.values()):
        return {}
    folder = f"{first[:12]}/" if any(path.name in earlier for path in model.files) else ""
    return {f"{folder}{path.name}": _file(f"{folder}{path.name}", path, hashes[path.name]) for path in model.files}


def _file(name: str, path: Path, sha256: str) -> SharedFile:
    status = path.stat()
    return SharedFile(name, path, status.st_size, status.st_mtime_ns, sha256)


def _record(model: CarriedModel, hashes: Mapping[str, str]) -> None:
    """Keep computed hashes in the index, where the model has a record that can be written."""
    here: Installed | None = None
    with contextlib.suppress(StopIteration):
        here = installed_at(model.files[0])
    if here and here.entry:
        with contextlib.suppress(StoreError):
            record_verified(here, hashes)


def _blob_id(file: SharedFile) -> str:
    return hashlib.sha256(file.sha256.encode()).hexdigest()[:40]
