"""Imports: copies, moves and links, checked by the hashes beside the files."""

import os
import random
import shutil
import sys
from pathlib import Path

import pytest

from seallm_edge.errors import InvalidOption, ModelFileError, SeaLLMError, StoreError
from seallm_edge.store import add, find_content, index, installed, locate
from seallm_edge.store.carrying import importing
from seallm_edge.store.carrying.exporting import export
from seallm_edge.store.carrying.importing import How, Imported, default_way, import_model
from support.gguf_files import write_gguf_file
from support.kills import is_killed
from support.stores import files_below, sha256, split_model, write_model

THAI, BURMESE = "แบบจำลองภาษาไทย", "မြန်မာဘာသာ မော်ဒယ်"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "source" / "mine.gguf")


@pytest.fixture
def other_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "default_way", lambda _: How.COPY)


def only(results: list[Imported]) -> Imported:
    (one,) = results
    return one


def test_copy_leaves_the_file_and_records_it(model: Path, home: Path) -> None:
    done = only(import_model(model, "copy"))

    assert (done.how, done.model.name, model.exists()) == (How.COPY, "mine", True)
    assert done.model.path == home / "models" / sha256(model)[:12] / "mine.gguf"
    assert sha256(done.model.path) == sha256(model)
    assert done.model.entry
    assert (done.model.entry.sha256, done.model.entry.origin) == (sha256(model), f"import:{model}")
    assert files_below(home / "models") == sorted([".lock", "index.json", f"{sha256(model)[:12]}/mine.gguf"])


def test_move_leaves_nothing(model: Path) -> None:
    digest = sha256(model)
    done = only(import_model(model, "move"))
    assert (done.how, model.exists(), sha256(done.model.path)) == (How.MOVE, False, digest)


def test_move_from_another_disk_copies_first(model: Path, other_disk: None) -> None:
    digest = sha256(model)
    done = only(import_model(model, "move"))
    assert (model.exists(), sha256(done.model.path)) == (False, digest)


def test_move_without_hard_links_copies_first(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    digest = sha256(model)
    done = only(import_model(model, "move"))
    assert (model.exists(), sha256(done.model.path)) == (False, digest)


def test_link_stays_where_it_is_and_is_found_by_name(model: Path) -> None:
    done = only(import_model(model, "link"))
    assert (done.how, done.model.path, locate("mine")) == (How.LINK, model, model)
    assert done.model.entry
    assert done.model.entry.is_linked
    assert find_content(sha256(model)) == done.model


def test_same_disk_links_and_another_copies(model: Path, other_disk: None) -> None:
    assert default_way(model) is How.LINK
    assert only(import_model(model)).how is How.COPY


def test_known_content_is_not_kept_twice(model: Path, home: Path) -> None:
    import_model(model, "copy")
    before = files_below(home)
    renamed = model.with_name("another name.gguf")
    model.rename(renamed)
    for how in How:
        again = only(import_model(renamed, how))
        assert (again.how, again.model.name) == (None, "mine")
    assert files_below(home) == before
    assert renamed.exists()


def test_linked_model_can_be_copied_later(model: Path) -> None:
    import_model(model, "link")
    done = only(import_model(model, "copy"))
    assert done.how is How.COPY
    assert [one.path for one in installed() if one.name == "mine"] == [done.model.path]


def test_any_part_stands_for_a_split_model(model: Path, tmp_path: Path) -> None:
    parts = split_model(model, 60_000, tmp_path / "parts.gguf")
    assert len(parts) > 2
    done = only(import_model(parts[1], "copy"))
    assert [path.name for path in done.model.files] == [path.name for path in parts]
    assert [sha256(path) for path in done.model.files] == [sha256(path) for path in parts]


@pytest.mark.parametrize("name", [THAI, BURMESE, "a:b?"])
@pytest.mark.parametrize("split", [None, "1M"])
def test_export_comes_back_with_its_name_hash_and_licence(name: str, split: str | None, tmp_path: Path) -> None:
    change = {"general.license": ("string", "mit"), "general.license.link": ("string", "https://example.org/mit")}
    model = write_model(tmp_path / f"{name}.gguf", change=change)
    folder = export([model], tmp_path / "stick", split=split).folder
    done = only(import_model(folder, "copy"))
    assert done.model.name == ("a_b_" if name == "a:b?" else name)
    assert done.model.entry
    assert done.model.entry.license == "mit: https://example.org/mit"
    assert (done.model.path.parent / "LICENSE.txt").read_text(encoding="utf-8").startswith(f"{name}\nLicence: mit\n")
    if split is None:
        assert sha256(done.model.path) == sha256(model)
        assert only(import_model(folder, "copy")).how is None


def test_damaged_file_of_an_export_is_refused_and_the_others_come(tmp_path: Path) -> None:
    models = [write_model(tmp_path / f"{n}.gguf", n) for n in range(3)]
    folder = export(models, tmp_path / "stick").folder
    with (folder / "models/1/1.gguf").open("r+b") as file:
        file.seek(-10, 2)
        file.write(b"\x3f" * 10)
    for how in How:
        told: list[Imported | SeaLLMError] = []
        done = import_model(folder, how, tell=told.append)
        assert [one.model.name for one in done] == ["0", "2"]
        (problem,) = (one for one in told if isinstance(one, SeaLLMError))
        assert isinstance(problem, ModelFileError)
        assert problem.path == folder / "models/1/1.gguf"
        assert problem.problem.startswith("is damaged: its sha256 is ")
        assert find_content(sha256(folder / "models/1/1.gguf")) is None
        folder = export(models, tmp_path / f"stick-{how}").folder
        with (folder / "models/1/1.gguf").open("r+b") as file:
            file.seek(-10, 2)
            file.write(b"\x3f" * 10)


def test_hidden_files_of_a_stick_are_left_out(model: Path) -> None:
    for name in ("._mine.gguf", ".Trash-1000/files/old.gguf", "$RECYCLE.BIN/old.gguf"):
        write_model(model.parent / name)
    assert [one.model.name for one in import_model(model.parent, "copy")] == ["mine"]


def test_projection_file_is_no_model(model: Path, tmp_path: Path) -> None:
    write_gguf_file(model.with_name("mine.mmproj-f16.gguf"))
    write_gguf_file(model.with_name("mine-imatrix.gguf"))
    projector = write_gguf_file(model.with_name("mmproj-mine.gguf"))
    assert [one.model.name for one in import_model(model.parent, "link")] == ["mine"]
    projector.rename(tmp_path / "vision.gguf")
    write_gguf_file(tmp_path / "vision.gguf", change={"general.architecture": ("string", "clip")})
    with pytest.raises(ModelFileError):
        import_model(tmp_path / "vision.gguf", "link")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("missing.gguf", None, "missing.gguf: no such file"),
        ("text.gguf", b"hello", "text.gguf: not a GGUF file"),
        ("page.gguf", b"<!DOCTYPE html><html>log in</html>", "page.gguf: a web page, not a GGUF"),
        ("empty.gguf", b"", "empty.gguf: the file is empty"),
        ("half.gguf.partial", b"GGUF", "half.gguf.partial: is an unfinished copy or download"),
        ("model.safetensors", b"12345678", "model.safetensors: is a part of a checkpoint, and no GGUF"),
    ],
)
def test_other_files_are_refused(name: str, content: bytes | None, problem: str, tmp_path: Path, home: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        import_model(tmp_path / name, "copy")
    assert caught.value.message == problem
    assert files_below(home / "models") == []


def test_cut_off_file_is_refused(model: Path) -> None:
    os.truncate(model, model.stat().st_size - 100)
    with pytest.raises(ModelFileError):
        import_model(model, "copy")


def test_folder_without_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no GGUF"):
        import_model(tmp_path, "copy")
    with pytest.raises(InvalidOption, match="'borrow' is no way to import"):
        import_model(tmp_path, "borrow")


def test_copy_is_refused_where_the_disk_is_too_small(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"total": 1 << 40, "free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StoreError, match=r"more are needed, and .* has 0\.00 MB free"):
        import_model(model, "copy")
    assert model.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")
def test_read_only_store_says_so(model: Path, home: Path) -> None:
    (home / "models").mkdir()
    (home / "models").chmod(0o500)
    with pytest.raises(StoreError, match="cannot write"):
        import_model(model, "copy")


def test_store_is_checked_before_anything_is_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise StoreError("cannot write")

    monkeypatch.setattr(index, "check_writable", refuse)
    read: list[int] = []
    for how in How:
        with pytest.raises(StoreError, match="cannot write"):
            import_model(model, how, progress=lambda *_: read.append(1))
    assert read == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("how", ["copy", "move"])
def test_import_killed_at_any_moment_resumes(how: str, model: Path, tmp_path: Path, home: Path) -> None:
    parts = split_model(model, 60_000, tmp_path / "parts.gguf")
    digests = [sha256(path) for path in parts]
    call = f"import_model({str(parts[0])!r}, {how!r}, progress=progress)"
    n_blocks = sum(-(-part.stat().st_size // 20_000) for part in parts)
    n_calls = {"copy": 2 * n_blocks, "move": n_blocks}[how]  # a copy is read back
    assert all(is_killed(call, random.Random(seed).randint(1, n_calls), 20_000) for seed in range(20))
    import_model(parts[0] if parts[0].exists() else locate("parts"), how)
    here = next(one for one in installed() if one.name == "parts")
    assert [sha256(path) for path in here.files] == digests
    assert [path for path in (home / "models" / ".incoming").rglob("*") if path.is_file()] == []


def test_known_split_model_is_recognised_without_a_list(model: Path, tmp_path: Path) -> None:
    parts = split_model(model, 60_000, tmp_path / "parts.gguf")
    import_model(parts[0], "copy")
    for listed in tmp_path.glob("*.sha256"):
        listed.unlink()
    assert only(import_model(parts[0], "copy")).how is None


def test_model_of_the_store_is_linked_to_itself(home: Path, tmp_path: Path) -> None:
    stored = add([write_model(tmp_path / "a.gguf")], origin="", sha256s={"a.gguf": sha256(tmp_path / "a.gguf")})
    assert only(import_model(stored.path)).how is None
