"""Exports: the files of a stick."""

import random
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.errors import InvalidOption, ModelNotFound, StoreError
from seallm_edge.files.locking import locked_alone
from seallm_edge.gguf_file import Dimensions, read_header
from seallm_edge.store import add
from seallm_edge.store.carrying import copying, exporting, stick_files
from seallm_edge.store.carrying.exporting import export, plan_export
from support.kills import is_killed
from support.stores import files_below, merge_model, sha256, split_model, write_model

SHAPE = Dimensions(n_layer=2, n_embd=256, n_head=4, n_head_kv=2, n_ff=512, n_vocab=4000, tied=True, qkv_bias=True)
UNALIGNED = replace(SHAPE, n_embd=260)  # vectors of 1,040 bytes, behind which there is padding
THAI, BURMESE = "แบบจำลองภาษาไทย", "မြန်မာဘာသာ မော်ဒယ်"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "source" / "mine.gguf")


def sums(folder: Path) -> dict[str, str]:
    lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {line[66:]: line[:64] for line in lines}


def test_folder_holds_the_model_its_facts_and_every_hash(model: Path, tmp_path: Path) -> None:
    done = export([model], tmp_path / "stick")

    assert done.folder == tmp_path / "stick"
    names = ["README.txt", "models/mine/LICENSE.txt", "models/mine/mine.gguf", "models/mine/model.toml"]
    assert files_below(done.folder) == sorted([*names, "SHA256SUMS"])
    assert sums(done.folder) == {name: sha256(done.folder / name) for name in names}
    assert sha256(done.folder / "models/mine/mine.gguf") == sha256(model)
    facts = tomllib.loads((done.folder / "models/mine/model.toml").read_text(encoding="utf-8"))
    assert facts == {"name": "mine", "architecture": "qwen2", "type": "F16", "parameters": read_header(model).n_params,
                     "size": model.stat().st_size}  # fmt: skip
    assert (done.folder / "models/mine/LICENSE.txt").read_text(encoding="utf-8") == (
        "mine\nLicence: not stated in the file: ask those who made the model\n"
    )


def test_card_and_its_licence_go_along(tmp_path: Path) -> None:
    model = write_model(tmp_path / "SeaLLMs-v3-1.5B-Chat-Q4_K_M.gguf")
    plan = plan_export([model], tmp_path / "stick")
    (warning,) = plan.warnings if plan.models[0].card else ("",)
    assert warning == ""  # its shape is another, so that the name alone makes no card

    installed = add_named(model, "SeaLLMs-v3-1.5B-Chat-Q4_K_M.gguf")
    plan = plan_export([installed], tmp_path / "stick")
    assert plan.warnings == (
        "SeaLLMs-v3-1.5B-Chat, licence seallms: https://huggingface.co/SeaLLMs/SeaLLM-13B-Chat/blob/main/LICENSE: the "
        "licence is not transferable: it is granted to each user by those who made the model, so whoever gets a copy "
        "has to read and accept it too; whether you may hand the weights on is for you to find in its text",
    )
    done = export([installed], tmp_path / "stick")
    folder = done.folder / "models/SeaLLMs-v3-1.5B-Chat-Q4_K_M"
    assert tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))["name"] == "seallms-v3-1.5b-chat"
    assert (folder / "LICENSE.txt").read_text(encoding="utf-8").splitlines()[:3] == [
        "SeaLLMs-v3-1.5B-Chat",
        "Licence: seallms",
        "https://huggingface.co/SeaLLMs/SeaLLM-13B-Chat/blob/main/LICENSE",
    ]


def add_named(model: Path, name: str) -> Path:
    """Path of a model in the store."""
    copied = model.with_name("incoming") / name
    copied.parent.mkdir(exist_ok=True)
    shutil.copy(model, copied)
    return add([copied], origin="hf:ORG/NAME@abc", sha256s={name: sha256(model)}).path


@pytest.mark.parametrize("shape", [SHAPE, UNALIGNED], ids=["aligned", "padded"])
def test_parts_are_those_of_split(shape: Dimensions, tmp_path: Path) -> None:
    model = write_model(tmp_path / "source" / "large.gguf", shape=shape)
    done = export([model], tmp_path / "stick", split="2.1M")
    (tmp_path / "own").mkdir()
    own = split_model(model, 2_100_000, tmp_path / "own" / "large.gguf")

    assert len(own) == 3
    folder = done.folder / "models/large"
    assert [(path.name, sha256(path)) for path in sorted(folder.glob("*.gguf"))] == [
        (path.name, sha256(path)) for path in own
    ]
    merged = merge_model(folder / own[0].name, tmp_path / "merged.gguf")
    assert sha256(merged) == sha256(model) or shape is UNALIGNED  # its padding is no zeros


def test_split_model_is_copied_as_it_is_or_split_otherwise(tmp_path: Path) -> None:
    model = write_model(tmp_path / "source" / "large.gguf", shape=SHAPE)
    parts = split_model(model, 2_100_000, tmp_path / "large.gguf")
    as_it_is = export([parts[0]], tmp_path / "one").folder / "models/large"
    assert [sha256(as_it_is / part.name) for part in parts] == [sha256(part) for part in parts]
    larger = export([parts[0]], tmp_path / "two", split="3M").folder / "models/large"
    own = split_model(parts[0], 3_000_000, tmp_path / "own.gguf")
    assert [sha256(path) for path in sorted(larger.glob("*.gguf"))] == [sha256(path) for path in own]


def test_fat32_gets_parts_without_being_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_model(tmp_path / "source" / "large.gguf", shape=SHAPE)
    monkeypatch.setattr(exporting, "file_system_of", lambda _: "vfat")
    assert len(plan_export([model], tmp_path / "stick").files) == 1
    monkeypatch.setattr(stick_files, "MAX_FAT_FILE", 3_000_000)
    monkeypatch.setattr(stick_files, "_FAT_PART", 2_500_000)
    plan = plan_export([model], tmp_path / "stick")
    assert [file.path for file in plan.files] == [
        "models/large/large-00001-of-00002.gguf",
        "models/large/large-00002-of-00002.gguf",
    ]
    assert max(file.content.size for file in plan.files) <= 3_000_000
    monkeypatch.setattr(exporting, "file_system_of", lambda _: "exfat")
    assert len(plan_export([model], tmp_path / "stick").files) == 1


def test_names_of_all_scripts_and_like_names_stay_apart(tmp_path: Path) -> None:
    models = [write_model(tmp_path / f"{n}" / f"{name}.gguf", n)
              for n, name in enumerate([THAI, BURMESE, "A:b", "a_b"])]  # fmt: skip
    done = export(models, tmp_path / "stick")
    assert sorted(path.name for path in (done.folder / "models").iterdir()) == sorted([THAI, BURMESE, "A_b", "a_b-2"])
    assert (done.folder / "models" / THAI / f"{THAI}.gguf").exists()


def test_disk_without_unicode_names_gets_ascii_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_model(tmp_path / f"{THAI}.gguf")
    mkdir = Path.mkdir

    def ascii_only(self: Path, *arguments: Any, **options: Any) -> None:
        if not self.name.isascii():
            raise OSError(22, "Invalid argument")
        mkdir(self, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", ascii_only)
    done = export([model], tmp_path / "stick")
    (folder,) = (done.folder / "models").iterdir()
    assert folder.name.startswith("model-")
    assert files_below(folder) == ["LICENSE.txt", f"{folder.name}.gguf", "model.toml"]
    assert tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))["name"] == THAI


def test_other_things_in_the_folder_are_left_alone(model: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "README.txt").write_text("mine")
    assert export([model], stick).folder == stick / "seallm"
    assert (stick / "README.txt").read_text() == "mine"
    assert export([model], stick).folder == stick / "seallm"
    assert export([model], stick / "seallm").folder == stick / "seallm"


def test_list_and_models_of_somebody_else_are_left_alone(model: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    (stick / "models").mkdir(parents=True)
    (stick / "SHA256SUMS").write_text(f"{'0' * 64}  linux.iso\n")
    (stick / "notes.txt").write_text("mine")
    assert export([model], stick).folder == stick / "seallm"


def test_other_parts_replace_those_of_an_earlier_export(tmp_path: Path) -> None:
    model = write_model(tmp_path / "source" / "large.gguf", shape=SHAPE)
    folder = export([model], tmp_path / "stick").folder
    (folder / "models/large/own.gguf").write_bytes(b"of the user")
    (folder / "models/large/large-00009-of-00009.gguf.partial").write_bytes(b"of a killed export")
    export([model], tmp_path / "stick", split="2.1M")
    names = ["large-00001-of-00003.gguf", "large-00002-of-00003.gguf", "large-00003-of-00003.gguf", "own.gguf"]
    assert [path.name for path in sorted((folder / "models/large").glob("*.gguf*"))] == names
    assert "models/large/large.gguf" not in sums(folder)


def test_second_export_adds_to_the_first_and_writes_nothing_twice(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_model(tmp_path / "other.gguf", 2)
    export([model], tmp_path / "stick")
    before = (tmp_path / "stick/models/mine/mine.gguf").stat().st_mtime_ns
    export([model, other], tmp_path / "stick")
    assert (tmp_path / "stick/models/mine/mine.gguf").stat().st_mtime_ns == before
    assert "models/other/other.gguf" in sums(tmp_path / "stick")
    readme = (tmp_path / "stick/README.txt").read_text(encoding="utf-8-sig")
    assert "    mine\n    other\n" in readme


def test_file_that_the_stick_lost_bytes_of_is_repaired(model: Path, tmp_path: Path) -> None:
    export([model], tmp_path / "stick")
    copied = tmp_path / "stick/models/mine/mine.gguf"
    with copied.open("r+b") as file:
        file.seek(-10, 2)
        file.write(bytes(10))
    export([model], tmp_path / "stick")
    assert sha256(copied) == sha256(model) == sums(tmp_path / "stick")["models/mine/mine.gguf"]


def test_lock_files_of_killed_exports_are_removed_unless_they_are_held(model: Path, tmp_path: Path) -> None:
    folder = export([model], tmp_path / "stick").folder
    (folder / "models/other").mkdir()
    names = ["README.txt.lock", "models/mine/mine.gguf.lock", "models/mine/model.toml.lock", "models/other/a.gguf.lock"]
    for name in [*names, "models/other/held.gguf.lock", "models/other/own.lock"]:
        (folder / name).touch()
    with (folder / "models/other/held.gguf.lock").open("ab") as held:
        assert locked_alone(held)
        export([model], folder)
    left = [name for name in files_below(folder) if name.endswith(".lock")]
    assert left == ["models/other/held.gguf.lock", "models/other/own.lock"]


def test_unknown_names_and_places_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        export(["no-such-model"], tmp_path / "stick")
    with pytest.raises(InvalidOption, match="is a file"):
        export([model], model)
    with pytest.raises(InvalidOption, match="is no size"):
        export([model], tmp_path / "stick", split="large")
    assert not (tmp_path / "stick").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_export_killed_at_any_moment_resumes(tmp_path: Path) -> None:
    model = write_model(tmp_path / "source" / "large.gguf", shape=SHAPE)
    whole = export([model], tmp_path / "whole", split="2.1M").folder
    call = f"export([{str(model)!r}], {str(tmp_path / 'stick')!r}, split='2.1M', progress=progress)"
    moments = random.Random(5).sample(range(1, 55), 20)
    assert sum(is_killed(call, moment, 100_000) for moment in moments) >= 18
    export([model], tmp_path / "stick", split="2.1M")
    assert files_below(tmp_path / "stick") == files_below(whole)
    assert sums(tmp_path / "stick") == sums(whole)
    assert {name: sha256(tmp_path / "stick" / name) for name in sums(whole)} == sums(whole)


def test_full_stick_says_what_is_missing_and_resumes(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"total": 1 << 40, "free": 100_000})
    with monkeypatch.context() as patch:
        patch.setattr(copying.shutil, "disk_usage", lambda _: usage)
        with pytest.raises(StoreError, match=r"MB more are needed, and .*stick has 0\.10 MB free"):
            export([model], tmp_path / "stick")
    export([model], tmp_path / "stick")
    assert sha256(tmp_path / "stick/models/mine/mine.gguf") == sha256(model)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A mounted disk of 300 kB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True, capture_output=True)


def test_disk_that_fills_up_meanwhile_keeps_the_partial(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_model(tmp_path / "mine.gguf")
    assert 100_000 < model.stat().st_size < 300_000
    other = small_disk / "other"
    other.write_bytes(bytes(200_000))
    monkeypatch.setattr(exporting, "check_space", lambda *_: None)  # another program wrote after it
    with pytest.raises(StoreError) as caught:
        export([model], small_disk / "stick")
    assert caught.value.message == f"the disk of {small_disk}/stick/models/mine is full, at mine.gguf"
    assert str(caught.value.hint) == "free space there, then run the same command again: it resumes"
    assert (small_disk / "stick/models/mine/mine.gguf.partial").exists()
    other.unlink()
    export([model], small_disk / "stick")
    assert sha256(small_disk / "stick/models/mine/mine.gguf") == sha256(model)
