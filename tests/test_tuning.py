"""The record of what was measured: kept, found again where it was made, and never believed without a look."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import tuning
from seallm_edge.native import symbols
from seallm_edge.tuning import Tuned

MODEL, OTHER = "0123456789abcdef" * 2, "f" * 32
TUNED = Tuned(threads=1, n_batch=64, repack=False, variant="haswell", gain=1.25)


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the record is kept: in a home that no other test uses."""
    monkeypatch.setenv("SEALLM_HOME", str(tmp_path))
    return tmp_path / "cache" / "tuning.json"


def test_what_is_kept_is_found_again() -> None:
    assert tuning.find(MODEL) is None
    tuning.keep(MODEL, TUNED)
    assert tuning.find(MODEL) == TUNED


def test_the_last_to_be_kept_counts() -> None:
    tuning.keep(MODEL, TUNED)
    tuning.keep(MODEL, replace(TUNED, n_batch=256))
    assert tuning.find(MODEL) == replace(TUNED, n_batch=256)


def test_models_do_not_share_records() -> None:
    tuning.keep(MODEL, TUNED)
    assert tuning.find(OTHER) is None
    tuning.keep(OTHER, replace(TUNED, gain=2.0))
    assert tuning.find(MODEL) == TUNED


def test_another_processor_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tuning.keep(MODEL, TUNED)
    monkeypatch.setattr(tuning, "cpu_identity", lambda: "model name: another")
    assert tuning.find(MODEL) is None


def test_other_cores_find_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tuning.keep(MODEL, TUNED)
    here = tuning.this_machine()
    monkeypatch.setattr(tuning, "this_machine", lambda: replace(here, cores_usable=here.cores_usable + 1))
    assert tuning.find(MODEL) is None


def test_another_build_of_llama_cpp_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuning.keep(MODEL, TUNED)
    (tmp_path / "libllama.so").write_bytes(b"another build")
    monkeypatch.setattr(symbols, "libllama_path", lambda: tmp_path / "libllama.so")
    assert tuning.find(MODEL) is None


def test_what_was_measured_with_a_forced_variant_counts_with_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    tuning.keep(MODEL, TUNED)
    monkeypatch.setenv("SEALLM_CPU_VARIANT", "haswell")
    assert tuning.find(MODEL) is None
    tuning.keep(MODEL, replace(TUNED, gain=1.0))
    monkeypatch.delenv("SEALLM_CPU_VARIANT")
    assert tuning.find(MODEL) == TUNED


def test_what_is_forgotten_is_gone_and_the_rest_stays() -> None:
    assert tuning.forget(MODEL) is False
    tuning.keep(MODEL, TUNED)
    tuning.keep(OTHER, TUNED)
    assert tuning.forget(MODEL) is True
    assert (tuning.find(MODEL), tuning.find(OTHER)) == (None, TUNED)


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
        {"more": 1},
    ],
    ids=str,
)
def test_values_out_of_range_are_not_believed(file: Path, change: dict[str, Any]) -> None:
    tuning.keep(MODEL, TUNED)
    content = json.loads(file.read_text())
    (machine,) = content["models"][MODEL]
    content["models"][MODEL][machine] = asdict(TUNED) | change
    file.write_text(json.dumps(content))
    assert tuning.find(MODEL) is None


@pytest.mark.parametrize("name", asdict(TUNED))
def test_a_record_with_a_missing_value_is_none(file: Path, name: str) -> None:
    tuning.keep(MODEL, TUNED)
    content = json.loads(file.read_text())
    (record,) = content["models"][MODEL].values()
    del record[name]
    file.write_text(json.dumps(content))
    assert tuning.find(MODEL) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"format": 2, "models": {}}',
        b'{"format": 1}',
        b'{"format": 1, "models": []}',
        b'{"format": 1, "models": {"0123456789abcdef0123456789abcdef": []}}',
        b'{"format": 1, "models": {"0123456789abcdef0123456789abcdef": 1}}',
        b" " * (1 << 20) + b"{}",
        b"9" * 10_000,
    ],
    ids=lambda content: repr(content[:40]),
)
def test_a_file_that_is_damaged_or_of_others_holds_nothing_and_is_no_obstacle(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    assert tuning.find(MODEL) is None
    tuning.keep(MODEL, TUNED)
    assert tuning.find(MODEL) == TUNED


def test_a_file_of_another_format_holds_nothing(file: Path) -> None:
    tuning.keep(MODEL, TUNED)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 2}))
    assert tuning.find(MODEL) is None


def test_a_file_that_is_too_large_holds_nothing(file: Path) -> None:
    tuning.keep(MODEL, TUNED)
    file.write_text(" " * (1 << 20) + file.read_text())
    assert tuning.find(MODEL) is None


def test_the_file_does_not_grow_without_end(file: Path) -> None:
    for number in range(300):
        tuning.keep(f"{number:032x}", TUNED)
    kept = json.loads(file.read_text())["models"]
    assert list(kept) == [f"{number:032x}" for number in range(44, 300)]


def test_nothing_but_the_record_is_left_behind(file: Path) -> None:
    tuning.keep(MODEL, TUNED)
    assert [path.name for path in file.parent.iterdir()] == ["tuning.json"]


def test_a_write_that_fails_leaves_what_was_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuning.keep(MODEL, TUNED)

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        tuning.keep(MODEL, replace(TUNED, gain=2.0))
    assert [path.name for path in file.parent.iterdir()] == ["tuning.json"]
    assert tuning.find(MODEL) == TUNED


@pytest.mark.skipif(sys.platform == "win32", reason="folders are no files there")
def test_a_file_that_cannot_be_read_holds_nothing(file: Path) -> None:
    file.mkdir(parents=True)
    assert tuning.find(MODEL) is None
