"""The contributor's guide names files that exist, but for those that it calls new."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FOLDERS = tuple(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
# A file under `*new*` goes on to its cell's end: "*new* `a/b.py`, `c.py`".
CELLS = [cell for line in GUIDE.splitlines() for cell in line.split("|")]
NAMED = sorted(
    {
        path
        for cell in CELLS
        for path in re.findall(rf"`((?:{'|'.join(FOLDERS)})/[^` ]*)`", cell.partition("*new*")[0])
        if "NAME" not in path
    }
)
NEW = sorted({path for path in re.findall(r"\*new\* `([^`]+)`", GUIDE) if "NAME" not in path})


def test_the_guide_names_files() -> None:
    assert len(NAMED) > 40
    assert NEW


@pytest.mark.parametrize("path", NAMED)
def test_a_file_of_the_guide_exists(path: str) -> None:
    assert (ROOT / path.partition("::")[0]).exists()


@pytest.mark.parametrize("path", NEW)
def test_a_new_file_of_the_guide_does_not_exist_yet(path: str) -> None:
    assert path.startswith(FOLDERS)
    assert not (ROOT / path).exists()
