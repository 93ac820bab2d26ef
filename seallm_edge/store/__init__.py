"""Model files on this computer: `installed` lists them, `locate` finds one by its name."""

from __future__ import annotations

from .installed import Installed, installed
from .locate import command_to_get, default_chat_model, how_to_get, locate, looks_like_path

__all__ = ["Installed", "command_to_get", "default_chat_model", "how_to_get", "installed", "locate", "looks_like_path"]
