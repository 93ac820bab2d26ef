"""Removal of an installed model. A linked model's files stay where they are; a package's belong to the package."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from .. import paths
from ..errors import ModelNotFound, StoreError
from ..files.companions import companions
from . import index
from .defaults import default_model, set_default_model
from .installed import Installed, missing
from .locate import find_installed, is_named


@dataclass(frozen=True)
class Removal:
    """What the removal of a model removes: `files` with their bytes; none of a linked model."""

    model: Installed
    files: tuple[Path, ...]
    size: int


def plan_removal(name: str) -> Removal:
    """Removal of an installed model, by any of its names; nothing is removed yet. Raises ModelNotFound, StoreError."""
    try:
        model = find_installed(name)
    except ModelNotFound:
        if (gone := _missing_link(name)) is None:
            raise
        return Removal(gone, (), 0)
    if model.package:
        raise StoreError(
            f"{model.name} belongs to the Python package {model.package}", f"pip uninstall {model.package}"
        )
    if model.entry and model.entry.is_linked:
        return Removal(model, (), 0)
    beside = [companion for file in model.files for companion in companions(file)]
    files = (*model.files, *dict.fromkeys(beside))
    return Removal(model, files, sum(file.stat().st_size for file in files))


def _missing_link(name: str) -> Installed | None:
    """Linked model by a name, whose file is not there now."""
    for entry in missing():
        model = Installed(entry.path.stem, entry.path, 0, None, entry.type_name, entry)
        if entry.is_linked and (is_named(model, name) or name == str(entry.path)):
            return model
    return None


def remove(model: str | Removal) -> Removal:
    """Remove an installed model, by a name or as planned: what was removed. Raises ModelNotFound, StoreError."""
    removal = plan_removal(model) if isinstance(model, str) else model
    try:
        for file in removal.files:  # the first part first: without it, the model is no longer listed
            file.unlink(missing_ok=True)
        if removal.model.entry:
            index.remove_link(removal.model.entry)
    except OSError as error:
        problem = f"{error.filename} cannot be removed: {error.strerror}"
        raise StoreError(problem, "end the programs that use it, and check its folder's permissions") from error
    if removal.model.entry:
        index.discard(removal.model.entry)
    if (chosen := default_model()) and is_named(removal.model, chosen):
        set_default_model(None)
    folder = removal.model.path.parent
    if removal.files and folder != paths.models_dir() and paths.models_dir() in folder.parents:
        with contextlib.suppress(OSError):  # other files are in it
            folder.rmdir()
    return removal
