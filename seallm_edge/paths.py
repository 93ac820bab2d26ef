"""Where things live: `SEALLM_HOME`, else the platform's own data folder. Knows nothing of what is in them."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The folder of all that seallm-edge keeps; it may not exist yet."""
    if chosen := os.environ.get("SEALLM_HOME"):
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_data_path("seallm-edge", appauthor=False)


def models_dir() -> Path:
    """Where model files are kept."""
    return home() / "models"


def cache_dir() -> Path:
    """Where what can be made again is kept: verdicts on CPU variants, measurements."""
    return home() / "cache"


def snapshots_dir() -> Path:
    """Where KV states of conversations are kept."""
    return home() / "snapshots"


def draft_tables_dir() -> Path:
    """Folder of n-gram tables that the user has made."""
    return home() / "draft-tables"
