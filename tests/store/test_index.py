"""The index of models: written atomically, shared by processes, damaged or of a later version."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from seallm_edge import StoreError, paths
from seallm_edge.store import Entry, StoredFile, installed, locate
from seallm_edge.store.index import changed, check_writable, discard, entries, entry_of, put, relative


def entry(path: str = "abc/x.gguf", **facts: object) -> Entry:
    return Entry((StoredFile(path, 5, 7, "a" * 64),), **facts)  # type: ignore[arg-type]


def test_what_is_put_comes_back_and_goes(home: Path) -> None:
    first = entry(fingerprint="f", type_name="Q8_0", origin="hf:a/b@c", license="l", added=1.5, verified=2.5)
    second = entry("/elsewhere/ข้าว.gguf")
    put(first)
    put(second)
    assert sorted(entries(), key=lambda one: one.path) == [second, first]
    assert entry_of(home / "models/abc/x.gguf") == first
    assert [one.is_linked for one in (first, second)] == [False, True]
    discard(first)
    assert entries() == (second,)


def test_paths_in_the_store_are_relative_and_others_absolute(home: Path, tmp_path: Path) -> None:
    assert relative(home / "models/abc/x.gguf") == "abc/x.gguf"
    assert relative(tmp_path / "x.gguf") == str(tmp_path / "x.gguf")


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", '{"format": 1}', '{"format": "x", "models": []}', '{"format": 1, "models": [{"files": []}]}',
        '{"format": 1, "models": [{"files": [{"path": "../x.gguf", "size": 1, "mtime_ns": 1}]}]}',
        '{"format": 1, "models": [{"files": [{"path": "x.gguf", "size": 1, "mtime_ns": 1, "sha256": "zz"}]}]}',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_a_damaged_index_stops_nobody_and_is_kept_beside(
    text: str, home: Path, by_hand, caplog: pytest.LogCaptureFixture
) -> None:
    model = by_hand()
    paths.index_file().write_text(text)
    with caplog.at_level(logging.WARNING, "seallm_edge"):
        assert locate("own") == model
    assert caplog.messages[0] == (
        f"{paths.index_file()} is damaged\n  make it again from the files: seallm_edge.store.rebuild()"
    )
    put(entry())
    assert entries() == (entry(),)
    assert (paths.models_dir() / "index.json.damaged").read_text() == text


def test_an_index_of_a_later_version_is_read_by_nobody_and_never_written(home: Path, by_hand) -> None:
    model = by_hand()
    later = json.dumps({"format": 2, "version": "9.0", "models": []})
    paths.index_file().write_text(later)
    assert locate("own") == model
    with pytest.raises(StoreError) as caught:
        put(entry())
    assert caught.value.message == f"{paths.index_file()} was written by a later seallm-edge (9.0)"
    assert paths.index_file().read_text() == later


def test_fields_of_a_later_minor_version_do_no_harm(home: Path) -> None:
    paths.models_dir().mkdir()
    record = {"files": [{"path": "x.gguf", "size": 1, "mtime_ns": 2, "new": 3}], "another": [4]}
    paths.index_file().write_text(json.dumps({"format": 1, "models": [record], "more": 5}))
    assert entries() == (Entry((StoredFile("x.gguf", 1, 2),)),)


def test_processes_that_write_at_once_lose_nothing(home: Path) -> None:
    code = """
import sys
from seallm_edge.store import Entry, StoredFile
from seallm_edge.store.index import put
for number in range(15):
    put(Entry((StoredFile(f"{sys.argv[1]}-{number}.gguf", 1, 1),)))
"""
    running = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "abc"]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    expected = {f"{name}-{number}.gguf" for name in "abc" for number in range(15)}
    assert {one.files[0].path for one in entries()} == expected


@pytest.mark.parametrize("call", [check_writable, lambda: put(entry())])
def test_a_folder_that_cannot_be_made_is_an_error_in_words(call, home: Path) -> None:
    (home / "models").write_text("a file where the folder should be")
    with pytest.raises(StoreError) as caught:
        call()
    assert str(caught.value) == (
        f"cannot write {home / 'models'}: File exists\n"
        "  check the disk and its permissions, or set SEALLM_HOME to another folder"
    )


def test_a_missing_file_is_not_installed_and_its_record_stays(home: Path, demo_file: Path) -> None:
    put(entry("/media/stick/x.gguf"))
    assert [model.path for model in installed()] == [demo_file]
    assert [one.path for one in entries()] == [Path("/media/stick/x.gguf")]


def test_an_unchanged_index_is_not_written_again(home: Path) -> None:
    put(entry())
    before = paths.index_file().stat().st_mtime_ns
    with changed() as known:
        known["abc/x.gguf"] = entry()
    assert paths.index_file().stat().st_mtime_ns == before
