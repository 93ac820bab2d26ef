"""Model files on this computer: `installed` lists them, `locate` finds one by its name, `pull` gets one from a hub,
`add` takes one in.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .adding import add, find_content, record_in_place
from .checking import check_recorded
from .defaults import default_model, last_used, mark_used, set_default_model, used_times
from .garbage import Garbage, Kind, find_garbage, remove_garbage
from .index import Entry, StoredFile
from .installed import Installed, installed, missing
from .licenses import License
from .locate import (
    choose_default_model,
    command_to_get,
    default_chat_model,
    find_installed,
    how_to_get,
    locate,
    looks_like_path,
)
from .removing import Removal, plan_removal, remove
from .verifying import Verified, rebuild, record_verified, verify_installed

if TYPE_CHECKING:
    from .carrying.discovery import Found, discover, find_existing
    from .carrying.exporting import Exported, export
    from .carrying.importing import Imported, import_found, import_model
    from .pulling.offer import Offer
    from .pulling.progress import Progress
    from .pulling.pull import PlannedPull, plan_pull, pull
    from .sharing.share import Share, share

# public name → its module, imported on first access: the network and the converter take longer to import than a list
_HOMES = {
    "Exported": "carrying.exporting",
    "Found": "carrying.discovery",
    "Imported": "carrying.importing",
    "Offer": "pulling.offer",
    "PlannedPull": "pulling.pull",
    "Progress": "pulling.progress",
    "Share": "sharing.share",
    "discover": "carrying.discovery",
    "export": "carrying.exporting",
    "find_existing": "carrying.discovery",
    "import_found": "carrying.importing",
    "import_model": "carrying.importing",
    "plan_pull": "pulling.pull",
    "pull": "pulling.pull",
    "share": "sharing.share",
}

__all__ = [
    "Entry",
    "Exported",
    "Found",
    "Garbage",
    "Imported",
    "Installed",
    "Kind",
    "License",
    "Offer",
    "PlannedPull",
    "Progress",
    "Removal",
    "Share",
    "StoredFile",
    "Verified",
    "add",
    "check_recorded",
    "choose_default_model",
    "command_to_get",
    "default_chat_model",
    "default_model",
    "discover",
    "export",
    "find_content",
    "find_existing",
    "find_garbage",
    "find_installed",
    "how_to_get",
    "import_found",
    "import_model",
    "installed",
    "last_used",
    "locate",
    "looks_like_path",
    "mark_used",
    "missing",
    "plan_pull",
    "plan_removal",
    "pull",
    "rebuild",
    "record_in_place",
    "record_verified",
    "remove",
    "remove_garbage",
    "set_default_model",
    "share",
    "used_times",
    "verify_installed",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
