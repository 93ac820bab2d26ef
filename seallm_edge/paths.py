"""Data folders: `SEALLM_HOME`, else the platform's data folder. Knows nothing of their contents."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Data folder of seallm-edge; it may not exist yet."""
    if chosen := os.environ.get("SEALLM_HOME"):
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_data_path("seallm-edge", appauthor=False)


def models_dir() -> Path:
    """Folder of model files."""
    return home() / "models"


def incoming_dir() -> Path:
    """Folder of unfinished downloads and conversions, on the disk of the models folder."""
    return models_dir() / ".incoming"


def index_file() -> Path:
    """File of the index of models."""
    return models_dir() / "index.json"


def default_model_file() -> Path:
    """File with the name of the model that is used where none is named."""
    return home() / "default-model"


def cache_dir() -> Path:
    """Folder of reproducible data: verdicts on CPU variants, measurements."""
    return home() / "cache"


def snapshots_dir() -> Path:
    """Folder of the KV states of conversations."""
    return home() / "snapshots"


def draft_tables_dir() -> Path:
    """Folder of n-gram tables that the user has made."""
    return home() / "draft-tables"


def history_file() -> Path:
    """File of the chat history."""
    return home() / "history.sqlite"


def guest_history_file() -> Path:
    """File of the chat history of other computers' browsers."""
    return home() / "guest-history.sqlite"


def personas_dir() -> Path:
    """Folder of the user's personas, which are system messages with names."""
    return home() / "personas"


def typed_path(text: str) -> Path:
    """Path that a user typed, with `~` expanded where there is such a user."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  pathlib's raises RuntimeError for an unknown user
