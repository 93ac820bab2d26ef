"""Sticks of somebody who means ill: links to other files, texts without an end, lists that lead out of the folder."""

import json
import os
from pathlib import Path

import pytest

from seallm_edge.store.carrying.candidates import candidates_in
from seallm_edge.store.carrying.carried import carried_models, license_text, read_facts
from seallm_edge.store.carrying.exporting import export
from seallm_edge.store.carrying.importing import import_model
from support.stores import files_below, sha256, write_model

NO_LICENSE = "mine\nLicence: not stated in the file: ask those who made the model\n"
needs_links = pytest.mark.skipif(os.name != "posix", reason="links")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of this computer that nobody wants to pass on."""
    path = tmp_path / "id_ed25519"
    path.write_text("SECRET")
    return path


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """Folder of a model on a stick."""
    return write_model(tmp_path / "stick" / "mine.gguf").parent


@needs_links
def test_link_in_the_licences_place_is_not_followed(stick: Path, secret: Path, tmp_path: Path) -> None:
    (stick / "LICENSE.txt").symlink_to(secret)
    (stick / "NOTICE").symlink_to(secret)
    (one,) = import_model(stick, "copy")
    assert not one.model.path.with_name("LICENSE.txt").exists()
    (model,) = carried_models([stick / "mine.gguf"])
    assert license_text(model) == NO_LICENSE
    done = export([stick / "mine.gguf"], tmp_path / "next")
    assert (done.folder / "models/mine/LICENSE.txt").read_text(encoding="utf-8") == NO_LICENSE
    assert all(b"SECRET" not in (done.folder / name).read_bytes() for name in files_below(done.folder))


def test_licence_above_the_limit_is_left_out(stick: Path) -> None:
    (stick / "LICENSE.txt").touch()
    os.truncate(stick / "LICENSE.txt", (1 << 20) + 1)
    (one,) = import_model(stick, "copy")
    assert not one.model.path.with_name("LICENSE.txt").exists()


@needs_links
def test_pipe_in_a_texts_place_does_not_wait(stick: Path) -> None:
    for name in ("LICENSE.txt", "model.toml", "SHA256SUMS", "mine.gguf.sha256"):
        os.mkfifo(stick / name)
    (one,) = import_model(stick, "copy")
    assert one.model.name == "mine"


@needs_links
def test_facts_that_are_a_link_or_too_long_are_none(tmp_path: Path) -> None:
    (tmp_path / "facts").write_text('name = "other"')
    (tmp_path / "model.toml").symlink_to(tmp_path / "facts")
    assert read_facts(tmp_path) == {}
    (tmp_path / "model.toml").unlink()
    (tmp_path / "model.toml").write_text('name = "other"' + "\n" * (1 << 20))
    assert read_facts(tmp_path) == {}


def test_licence_in_the_facts_is_one_short_line(stick: Path) -> None:
    (stick / "model.toml").write_text(f"license = {json.dumps('a' + chr(27) + '[2J' + chr(10) + 'b' * 300)}")
    (one,) = candidates_in(stick)
    assert one.license == "a[2J " + "b" * 195


def test_list_that_leads_elsewhere_says_nothing_of_a_model(stick: Path) -> None:
    wrong = "0" * 64
    (stick / "SHA256SUMS").write_text(f"{wrong}  ../stick/mine.gguf\n{wrong}  {stick}/mine.gguf\n")
    (one,) = candidates_in(stick)
    assert one.hashes == {}
    (stick.parent / "SHA256SUMS").write_text(f"{sha256(stick / 'mine.gguf')}  stick/mine.gguf\n")
    (one,) = candidates_in(stick)
    assert one.hashes == {"mine.gguf": sha256(stick / "mine.gguf")}


def test_lines_that_lead_elsewhere_leave_an_exports_list(tmp_path: Path) -> None:
    folder = export([write_model(tmp_path / "a.gguf")], tmp_path / "next").folder
    (tmp_path / "outside").write_text("mine")
    with (folder / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  ../outside\n")
    export([write_model(tmp_path / "b.gguf", 1)], folder)
    listed = [line[66:] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert listed == [name for name in files_below(folder) if name != "SHA256SUMS"]


@needs_links
def test_link_in_the_place_of_a_runtimes_facts_is_not_followed(tmp_path: Path) -> None:
    model = write_model(tmp_path / "a.gguf")
    about = {"platform": "SECRET", "python": "3.11", "system": "SECRET", "installing": ["SECRET"], "command": "SECRET"}
    (tmp_path / "about").write_text(json.dumps(about))
    folder = export([model], tmp_path / "next").folder
    (folder / "runtime").mkdir()
    (folder / "runtime" / "about-x.json").symlink_to(tmp_path / "about")
    export([model], folder)
    assert "SECRET" not in (folder / "README.txt").read_text(encoding="utf-8-sig")


@needs_links
@pytest.mark.parametrize("ending", ["", ".partial", ".lock"])
def test_export_writes_nothing_through_a_link(ending: str, secret: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "mine.gguf")
    folder = export([model], tmp_path / "next").folder
    place = folder / f"models/mine/mine.gguf{ending}"
    (folder / "models/mine/mine.gguf").unlink()
    place.symlink_to(secret)
    export([model], folder)
    assert secret.read_text() == "SECRET"
    assert not (folder / "models/mine/mine.gguf").is_symlink()
    assert sha256(folder / "models/mine/mine.gguf") == sha256(model)
    assert not place.is_symlink()
