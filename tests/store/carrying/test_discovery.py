"""Models of other programs on this computer."""

import json
import sys
from pathlib import Path

import pytest

from seallm_edge.catalogue.cards import cards
from seallm_edge.errors import InvalidOption, ModelFileError, SeaLLMError
from seallm_edge.store import Installed, add, installed, locate, plan_removal, remove
from seallm_edge.store.carrying.discovery import discover, find_existing
from seallm_edge.store.carrying.importing import How, Imported, import_candidate, import_found
from seallm_edge.store.index import entries
from support.gguf_files import write_gguf_file
from support.stores import sha256, write_model

VARIABLES = ("OLLAMA_MODELS", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "LLAMA_CACHE",
             "LOCALAPPDATA")  # fmt: skip


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Home of a user without models."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "user")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "user"


def found() -> list[tuple[str, str, Path]]:
    return [(one.program, one.name, one.path) for one in discover()]


def stored() -> list[Path]:
    return [one.path for one in installed() if not one.package]


def ollama(root: Path, place: str, seed: int = 0) -> Path:
    """A model of Ollama: its blob."""
    made = write_model(root / "blobs" / "new", seed)
    blob = made.rename(made.with_name(f"sha256-{sha256(made)}"))
    other = write_gguf_file(root / "blobs" / "sha256-params")
    layers = [
        {"mediaType": "application/vnd.ollama.image.params", "digest": "sha256:" + "0" * 64},
        {"mediaType": "application/vnd.ollama.image.projector", "digest": f"sha256:{sha256(other)}"},
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{blob.name[7:]}"},
    ]
    manifest = root / "manifests" / place
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    return blob


def test_nothing_is_found_where_nothing_is() -> None:
    assert discover() == []


def test_ollamas_blobs_have_the_names_of_its_manifests(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = user / ".ollama" / "models"
    blob = ollama(models, "registry.ollama.ai/library/qwen2.5/1.5b-instruct")
    assert found() == [("Ollama", "qwen2.5-1.5b-instruct", blob)]
    elsewhere = user / "elsewhere"
    own = ollama(elsewhere, "hf.co/ORG/SeaLLM-GGUF/latest", 2)
    monkeypatch.setenv("OLLAMA_MODELS", str(elsewhere))
    assert ("Ollama", "SeaLLM-GGUF", own) in found()


def test_ollamas_model_is_linked_under_its_name(user: Path, home: Path) -> None:
    blob = ollama(user / ".ollama" / "models", "registry.ollama.ai/library/qwen2.5/1.5b")
    (one,) = discover()
    done = import_candidate(one.candidate, How.LINK)
    assert done.model.name == "qwen2.5-1.5b"
    assert locate("qwen2.5-1.5b").resolve() == blob.resolve()
    assert (home / "models" / "linked" / blob.name[7:19] / "qwen2.5-1.5b.gguf").is_symlink()
    assert import_candidate(one.candidate, How.LINK).how is None


@pytest.fixture
def linked(user: Path) -> Installed:
    """A model of Ollama, linked."""
    ollama(user / ".ollama" / "models", "registry.ollama.ai/library/qwen2.5/1.5b")
    (one,) = import_found(discover())
    assert one.how is How.LINK
    return one.model


def test_link_to_a_blob_is_a_linked_model_and_its_removal_leaves_the_blob(linked: Installed, home: Path) -> None:
    blob = linked.path.resolve()
    assert linked.entry
    assert linked.entry.is_linked
    plan = plan_removal("qwen2.5-1.5b")
    assert (plan.files, plan.size) == ((), 0)
    remove("qwen2.5-1.5b")
    assert (blob.exists(), (home / "models" / "linked").exists(), stored(), entries()) == (True, False, [], ())


def test_linked_blob_can_be_copied_later(linked: Installed, home: Path) -> None:
    blob = linked.path.resolve()
    (done,) = import_found(discover(), "copy")
    assert (done.how, done.model.name) == (How.COPY, "qwen2.5-1.5b")
    assert done.model.path == home / "models" / blob.name[7:19] / "qwen2.5-1.5b.gguf"
    assert not done.model.path.is_symlink()
    assert stored() == [done.model.path]
    assert (blob.exists(), (home / "models" / "linked").exists()) == (True, False)


def test_finished_copy_is_kept_where_only_a_link_was(linked: Installed, tmp_path: Path) -> None:
    blob = linked.path.resolve()
    pulled = tmp_path / "pulled.gguf"
    pulled.write_bytes(blob.read_bytes())
    kept = add([pulled], origin="hf:a/b@c", sha256s={"pulled.gguf": sha256(blob)})
    blob.unlink()
    assert stored() == [kept.path]
    assert kept.path.stat().st_size == kept.size


def test_files_of_other_programs_are_not_moved(user: Path, home: Path) -> None:
    blob = ollama(user / ".ollama" / "models", "registry.ollama.ai/library/qwen2.5/1.5b")
    with pytest.raises(InvalidOption) as caught:
        import_found(discover(), "move")
    assert caught.value.message == "the files of other programs are not moved: those programs would miss them"
    assert caught.value.hint.worded(lambda part: f"<{part.name}>") == "<copy> or <link>"
    assert (blob.exists(), stored()) == (True, [])


def test_one_damaged_model_does_not_end_the_import_of_the_others(user: Path) -> None:
    blob = ollama(user / ".ollama" / "models", "registry.ollama.ai/library/a/latest")
    with blob.open("r+b") as file:
        file.seek(-10, 2)
        file.write(bytes(10))
    write_model(user / ".lmstudio" / "models" / "b.gguf", 3)
    told: list[Imported | SeaLLMError] = []
    done = import_found(discover(), tell=told.append)
    assert [one.model.name for one in done] == ["b"]
    assert [type(one) for one in told] == [ModelFileError, Imported]
    with pytest.raises(ModelFileError, match="is damaged"):
        import_found(discover()[:1])


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_manifest_that_is_a_link_is_left_out(user: Path) -> None:
    ollama(user / ".ollama" / "models", "registry.ollama.ai/library/a/latest")
    manifest = user / ".ollama/models/manifests/registry.ollama.ai/library/a/latest"
    manifest.symlink_to(manifest.rename(user / "elsewhere"))
    assert discover() == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"layers": [1]}', '{"layers": [{"mediaType": "application/vnd.ollama.image.model"}]}',
             '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../x"}]}',
             "[" * 100_000]
)  # fmt: skip
def test_damaged_manifest_is_left_out(text: str, user: Path) -> None:
    manifest = user / ".ollama" / "models" / "manifests" / "library" / "a" / "latest"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(text)
    assert discover() == []


@pytest.mark.parametrize("place", [".lmstudio/models", ".cache/lm-studio/models", ".cache/llama.cpp"])
def test_files_of_lm_studio_and_llama_cpp(place: str, user: Path) -> None:
    path = write_model(user / place / "ORG" / "NAME-GGUF" / "name-Q8_0.gguf")
    program = "llama.cpp" if "llama" in place else "LM Studio"
    assert found() == [(program, "name-Q8_0", path)]


def test_hugging_face_snapshots_link_to_blobs(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(user / "hf"))
    folder = user / "hf" / "hub" / "models--ORG--NAME-GGUF"
    made = write_model(folder / "blobs" / "new")
    blob = made.rename(made.with_name(sha256(made)))
    snapshot = folder / "snapshots" / "abc123" / "name-Q8_0.gguf"
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(blob)
    (one,) = discover()
    assert (one.program, one.name, one.path) == ("Hugging Face", "name-Q8_0", snapshot)
    assert (one.candidate.origin, one.candidate.hashes) == (
        "hf:ORG/NAME-GGUF@abc123", {"name-Q8_0.gguf": blob.name},
    )  # fmt: skip
    monkeypatch.setenv("LLAMA_CACHE", str(user / "hf" / "hub"))  # newer llama.cpp shares this cache
    assert len(discover()) == 1


def test_what_cannot_run_here_is_left_out(user: Path) -> None:
    folder = user / ".lmstudio" / "models"
    write_gguf_file(folder / "mmproj-model.gguf")
    write_gguf_file(folder / "projector.gguf", change={"general.architecture": ("string", "clip")})
    (folder / "page.gguf").write_text("<html>")
    (folder / "half.gguf").write_bytes((write_model(folder / "whole.gguf").read_bytes())[:5000])
    assert [one.name for one in discover()] == ["whole"]


def test_models_of_a_card_are_found_by_their_header(user: Path, demo_file: Path) -> None:
    folder = user / ".lmstudio" / "models"
    folder.mkdir(parents=True)
    (folder / "any name.gguf").symlink_to(demo_file)
    write_model(folder / "SmolLM2-135M-Instruct.gguf")  # of another shape
    assert [one.name for one in find_existing(cards()["smollm2-135m-instruct"])] == ["any name"]
    assert find_existing(cards()["seallms-v3-7b"]) == []
