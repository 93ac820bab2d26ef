"""A folder of snapshots, the snapshots in it, and the file of a valid one."""

from pathlib import Path

import pytest

from seallm_edge.engine.kv.snapshots import Snapshots
from support.snapshots import KEY, PLENTY, STATE, TOKENS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a" / "snapshots"


@pytest.fixture
def snapshots(folder: Path) -> Snapshots:
    return Snapshots(folder, KEY, PLENTY)


@pytest.fixture
def good(folder: Path) -> Path:
    """The file of a sound snapshot."""
    assert Snapshots(folder, KEY, PLENTY).save(TOKENS, STATE)
    return next(folder.iterdir())
