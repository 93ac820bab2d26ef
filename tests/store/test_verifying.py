"""Verification against the index, and the index made again from the files."""

from pathlib import Path

import pytest

from seallm_edge import ModelFileError, paths
from seallm_edge.hints import command_line_words
from seallm_edge.store import Installed, add, installed, rebuild, record_in_place, verify_installed
from seallm_edge.store.index import entries
from seallm_edge.store.installed import installed_at
from support.gguf_files import write_gguf_file

from .conftest import digits


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_a_good_model_is_recorded_as_verified(added) -> None:
    model = added()
    before = model.entry.verified
    read: list[tuple[int, int]] = []
    verified = verify_installed(model, lambda done, total: read.append((done, total)))
    assert (verified.was_known, verified.sha256s) == (True, {"tiny.gguf": digits(model.path)})
    assert read[-1] == (model.size, model.size)
    assert installed_at(model.path).entry.verified > before


def test_one_flipped_bit_is_found_and_nothing_is_recorded(added) -> None:
    model = added()
    before = entries()
    flip(model.path, model.size - 1)
    with pytest.raises(ModelFileError) as caught:
        verify_installed(model)
    found, pinned = digits(model.path)[:12], model.id
    assert caught.value.problem == f"its sha256 is {found}…, and it was added with {pinned}…"
    assert entries() == before


def test_the_hash_of_a_users_own_file_is_learnt_and_then_pinned(by_hand) -> None:
    path = by_hand()
    assert not verify_installed(installed_at(path)).was_known
    assert verify_installed(installed_at(path)).was_known
    flip(path, path.stat().st_size - 1)
    with pytest.raises(ModelFileError):
        verify_installed(installed_at(path))


def test_the_index_is_made_again_from_the_files(added, by_hand, tmp_path: Path) -> None:
    model, own = added(), by_hand()
    link = write_gguf_file(tmp_path / "linked.gguf", change={"general.name": ("string", "Linked")})
    record_in_place(link, origin=f"import:{link}", sha256s={link.name: digits(link)})
    before = {entry.path: entry for entry in entries()}
    recorded, errors = rebuild()
    assert ([one.name for one in recorded], errors) == (["own", "tiny"], [])
    after = {entry.path: entry for entry in entries()}
    assert set(after) == {model.path, own, link}
    assert after[link] == before[link]
    assert after[model.path].origin == "hf:a/b@c"
    assert after[own].sha256 == digits(own)


def test_a_lost_index_is_made_again(added) -> None:
    model = added()
    paths.index_file().unlink()
    assert [one.entry for one in installed() if one.name == "tiny"] == [None]
    rebuild()
    (again,) = entries()
    assert (again.path, again.sha256, again.fingerprint) == (model.path, digits(model.path), model.entry.fingerprint)


def test_a_damaged_file_is_told_by_the_name_of_its_folder(added) -> None:
    model = added()
    flip(model.path, model.size - 1)
    paths.index_file().unlink()
    recorded, (error,) = rebuild()
    assert recorded == []
    assert error.message == (
        f"tiny.gguf: its sha256 is {digits(model.path)[:12]}…, and its folder is named after another"
    )
    assert entries() == ()


def test_what_is_no_model_is_left_out_of_the_index(home: Path, by_hand) -> None:
    own = by_hand()
    (paths.models_dir() / "notes.gguf").write_bytes(b"not a model")
    recorded, errors = rebuild()
    assert [one.path for one in recorded] == [own]
    assert [error.path for error in errors] == [paths.models_dir() / "notes.gguf"]


def test_what_was_repaired_can_be_added_again(added, arrived) -> None:
    model = added()
    flip(model.path, model.size - 1)
    model.path.unlink()
    file = arrived()
    again = add([file], origin="hf:a/b@c", sha256s={file.name: digits(file)})
    assert verify_installed(again).was_known


def test_a_model_that_is_added_while_the_index_is_made_again_keeps_its_record(added, by_hand) -> None:
    by_hand()
    later: list[Installed] = []

    def on_progress(_model: Installed, done: int, total: int) -> None:
        if not later:
            later.append(added("later.gguf", "Later"))

    rebuild(on_progress)
    assert installed_at(later[0].path).entry == later[0].entry


def test_a_damaged_model_keeps_its_record_and_is_never_learnt(added) -> None:
    model = added()
    flip(model.path, model.size - 1)
    recorded, (error,) = rebuild()
    assert recorded == []
    assert error.problem == f"its sha256 is {digits(model.path)[:12]}…, and it was added with {model.id}…"
    assert installed_at(model.path).entry == model.entry
    paths.index_file().unlink()
    with pytest.raises(ModelFileError, match="its folder is named after another"):
        verify_installed(installed_at(model.path))


def test_a_users_own_file_that_was_replaced_can_be_recorded_again(by_hand) -> None:
    path = by_hand()
    verify_installed(installed_at(path))
    by_hand(title="Nwo")
    with pytest.raises(ModelFileError) as caught:
        verify_installed(installed_at(path))
    assert caught.value.hint.worded(command_line_words) == (
        "if you have replaced it, record it again: seallm verify --rebuild; else it is damaged"
    )
    rebuild()
    assert verify_installed(installed_at(path)).was_known
