"""Saved settings of tuning: kept, found again, and checked before use."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.errors import StoreError
from seallm_edge.tuning import saved_settings
from seallm_edge.tuning.saved_settings import Tuned

MODEL, OTHER = "0123456789abcdef" * 2, "f" * 32
TUNED = Tuned(threads=1, n_batch=64, repack=False, variant="haswell", gain=1.25)


@pytest.fixture
def file(home: Path) -> Path:
    """Where the record is kept."""
    return home / "cache" / "tuning.json"


def test_it_is_found_until_it_is_forgotten() -> None:
    assert (saved_settings.find(MODEL), saved_settings.forget(MODEL)) == (None, False)
    saved_settings.keep(MODEL, TUNED)
    assert (saved_settings.find(MODEL), saved_settings.find(OTHER)) == (TUNED, None)
    assert (saved_settings.forget(MODEL), saved_settings.find(MODEL)) == (True, None)


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 0},
        {"threads": -1},
        {"threads": 100_000},
        {"threads": True},
        {"threads": "2"},
        {"threads": 1.0},
        {"threads": None},
        {"n_batch": 0},
        {"n_batch": 1 << 40},
        {"n_batch": 64.0},
        {"n_batch": [64]},
        {"repack": 0},
        {"repack": "yes"},
        {"variant": ""},
        {"variant": 7},
        {"variant": "x" * 65},
        {"variant": "zen4\x1b[2J"},
        {"gain": 0.5},
        {"gain": -1.0},
        {"gain": float("nan")},
        {"gain": float("inf")},
        {"gain": "1.2"},
        {"gain": True},
        {"gpu_layers": -1},
        {"gpu_layers": 1.0},
        {"gpu_layers": True},
        {"more": 1},
    ],
    ids=str,
)
def test_values_out_of_range_are_not_believed(file: Path, change: dict[str, Any]) -> None:
    saved_settings.keep(MODEL, TUNED)
    content = json.loads(file.read_text())
    (machine,) = content["models"][MODEL]
    content["models"][MODEL][machine] = asdict(TUNED) | change
    file.write_text(json.dumps(content))
    assert saved_settings.find(MODEL) is None


@pytest.mark.parametrize("name", asdict(TUNED))
def test_a_record_with_a_missing_value_is_none(file: Path, name: str) -> None:
    saved_settings.keep(MODEL, TUNED)
    content = json.loads(file.read_text())
    (record,) = content["models"][MODEL].values()
    del record[name]
    file.write_text(json.dumps(content))
    assert saved_settings.find(MODEL) is None


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    saved_settings.check_writable()
    monkeypatch.setenv("SEALLM_HOME", os.devnull)
    for keep in (saved_settings.check_writable, lambda: saved_settings.keep(MODEL, TUNED)):
        with pytest.raises(StoreError, match=r"cannot be kept in .*(?s:.*)set SEALLM_HOME to another folder"):
            keep()
