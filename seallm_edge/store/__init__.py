"""Model files on this computer: `installed` lists them, `locate` finds one by its name, `add` takes one in."""

from __future__ import annotations

from .adding import add, find_content, record_in_place
from .checking import check_recorded
from .defaults import default_model, last_used, mark_used, set_default_model, used_times
from .garbage import Garbage, Kind, find_garbage, remove_garbage
from .index import Entry, StoredFile
from .installed import Installed, installed, missing
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

__all__ = [
    "Entry",
    "Garbage",
    "Installed",
    "Kind",
    "Removal",
    "StoredFile",
    "Verified",
    "add",
    "check_recorded",
    "choose_default_model",
    "command_to_get",
    "default_chat_model",
    "default_model",
    "find_content",
    "find_garbage",
    "find_installed",
    "how_to_get",
    "installed",
    "last_used",
    "locate",
    "looks_like_path",
    "mark_used",
    "missing",
    "plan_removal",
    "rebuild",
    "record_in_place",
    "record_verified",
    "remove",
    "remove_garbage",
    "set_default_model",
    "used_times",
    "verify_installed",
]
