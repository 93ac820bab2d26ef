"""Model files: what is here, and which file a name means."""

from __future__ import annotations

from .library import Installed, command_to_get, default_chat_model, how_to_get, installed, locate, looks_like_path

__all__ = ["Installed", "command_to_get", "default_chat_model", "how_to_get", "installed", "locate", "looks_like_path"]
