"""Saved measurements of a model: found again on the machine where they were made."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.native import measurements as module
from seallm_edge.native import symbols
from seallm_edge.native.measurements import measurements

MODEL, OTHER = "0123456789abcdef" * 2, "f" * 32
RECORD, CHANGED = {"value": 1}, {"value": 2}
RECORDS = measurements("tried.json")


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the record is kept: in a home that no other test uses."""
    monkeypatch.setenv("SEALLM_HOME", str(tmp_path))
    return tmp_path / "cache" / "tried.json"


def test_what_is_kept_is_found_again() -> None:
    assert RECORDS.find(MODEL) is None
    RECORDS.keep(MODEL, RECORD)
    assert RECORDS.find(MODEL) == RECORD


def test_the_last_to_be_kept_counts() -> None:
    RECORDS.keep(MODEL, RECORD)
    RECORDS.keep(MODEL, CHANGED)
    assert RECORDS.find(MODEL) == CHANGED


def test_models_do_not_share_records() -> None:
    RECORDS.keep(MODEL, RECORD)
    assert RECORDS.find(OTHER) is None
    RECORDS.keep(OTHER, CHANGED)
    assert RECORDS.find(MODEL) == RECORD


def test_threads_that_keep_something_at_once_lose_nothing() -> None:
    names = [f"{number:032x}" for number in range(24)]
    threads = [threading.Thread(target=RECORDS.keep, args=(name, RECORD)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [RECORDS.find(name) for name in names] == [RECORD] * len(names)


def test_another_processor_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    RECORDS.keep(MODEL, RECORD)
    monkeypatch.setattr(module, "cpu_identity", lambda: "model name: another")
    assert RECORDS.find(MODEL) is None


def test_other_cores_find_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    RECORDS.keep(MODEL, RECORD)
    here = module.this_machine()
    monkeypatch.setattr(module, "this_machine", lambda: replace(here, cores_usable=here.cores_usable + 1))
    assert RECORDS.find(MODEL) is None


def test_another_build_of_llama_cpp_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RECORDS.keep(MODEL, RECORD)
    (tmp_path / "libllama.so").write_bytes(b"another build")
    monkeypatch.setattr(symbols, "libllama_path", lambda: tmp_path / "libllama.so")
    assert RECORDS.find(MODEL) is None


@pytest.mark.parametrize(("variable", "value"), [("SEALLM_CPU_VARIANT", "haswell"), ("SEALLM_KERNELS", "off")])
def test_what_was_measured_with_a_forced_variant_or_other_kernels_counts_with_it_alone(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    RECORDS.keep(MODEL, RECORD)
    monkeypatch.setenv(variable, value)
    assert RECORDS.find(MODEL) is None
    RECORDS.keep(MODEL, CHANGED)
    monkeypatch.delenv(variable)
    assert RECORDS.find(MODEL) == RECORD


def test_records_that_are_unwanted_are_dropped_of_all_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    RECORDS.keep(MODEL, RECORD)
    RECORDS.keep(OTHER, CHANGED)
    monkeypatch.setenv("SEALLM_CPU_VARIANT", "haswell")
    RECORDS.keep(OTHER, RECORD)
    RECORDS.forget_where(lambda record: record == RECORD)
    assert (RECORDS.find(MODEL), RECORDS.find(OTHER)) == (None, None)
    monkeypatch.delenv("SEALLM_CPU_VARIANT")
    assert (RECORDS.find(MODEL), RECORDS.find(OTHER)) == (None, CHANGED)


def test_what_is_forgotten_is_gone_and_the_rest_stays() -> None:
    assert RECORDS.forget(MODEL) is False
    RECORDS.keep(MODEL, RECORD)
    RECORDS.keep(OTHER, RECORD)
    assert RECORDS.forget(MODEL) is True
    assert (RECORDS.find(MODEL), RECORDS.find(OTHER)) == (None, RECORD)


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
    assert RECORDS.find(MODEL) is None
    RECORDS.keep(MODEL, RECORD)
    assert RECORDS.find(MODEL) == RECORD


def test_a_file_of_another_format_holds_nothing(file: Path) -> None:
    RECORDS.keep(MODEL, RECORD)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 2}))
    assert RECORDS.find(MODEL) is None


def test_a_file_that_is_too_large_holds_nothing(file: Path) -> None:
    RECORDS.keep(MODEL, RECORD)
    file.write_text(" " * (1 << 20) + file.read_text())
    assert RECORDS.find(MODEL) is None


def test_the_file_does_not_grow_without_end(file: Path) -> None:
    for number in range(300):
        RECORDS.keep(f"{number:032x}", RECORD)
    kept = json.loads(file.read_text())["models"]
    assert list(kept) == [f"{number:032x}" for number in range(44, 300)]


def test_a_model_on_many_machines_is_kept_for_the_last_four(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in [*range(6), 2]:
        monkeypatch.setattr(module, "cpu_identity", lambda number=number: f"model name: {number}")
        RECORDS.keep(MODEL, {"value": number})
    assert [record["value"] for record in json.loads(file.read_text())["models"][MODEL].values()] == [3, 4, 5, 2]


def test_nothing_but_the_record_is_left_behind(file: Path) -> None:
    RECORDS.keep(MODEL, RECORD)
    assert [path.name for path in file.parent.iterdir()] == ["tried.json"]


def test_a_write_that_fails_leaves_what_was_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RECORDS.keep(MODEL, RECORD)

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        RECORDS.keep(MODEL, CHANGED)
    assert [path.name for path in file.parent.iterdir()] == ["tried.json"]
    assert RECORDS.find(MODEL) == RECORD


@pytest.mark.skipif(sys.platform == "win32", reason="folders are no files there")
def test_a_file_that_cannot_be_read_holds_nothing(file: Path) -> None:
    file.mkdir(parents=True)
    assert RECORDS.find(MODEL) is None
