"""A checkpoint on the loopback hub, under a licence that must be accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.pulls import LICENSED, NAME


@pytest.fixture
def source(checkpoint: Callable[..., Any]) -> Path:
    """A checkpoint of three shards."""
    folder: Path = checkpoint(vocab=6000, layers=3, shards=3).path
    return folder


@pytest.fixture
def commit(hub: Any, source: Path) -> str:
    """The same, on the hub; its commit."""
    commit: str = hub.add_repository(NAME, source, card=LICENSED)
    return commit
