"""Cards: they load, names match them, and their sizes are those of real files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from seallm_edge.catalogue.cards import TYPES, cards, find, match, match_header, read_card, tensor_bytes
from seallm_edge.errors import ModelNotFound, SeaLLMError
from seallm_edge.gguf_file import Dimensions, read_header
from seallm_edge.sampling import Sampling
from seallm_edge.text.languages import by_code

MEASURED = {  # GB, of files that others made and published
    ("seallms-v3-7b-chat", "Q4_0"): 4.43,
    ("seallms-v3-7b-chat", "Q4_K_S"): 4.46,
    ("seallms-v3-7b-chat", "Q4_K_M"): 4.68,
    ("seallms-v3-7b-chat", "Q5_K_M"): 5.44,
    ("seallms-v3-7b-chat", "Q6_K"): 6.25,
    ("seallms-v3-7b-chat", "Q8_0"): 8.1,
    ("seallms-v3-7b-chat", "F16"): 15.2,
    ("seallms-v3-1.5b-chat", "Q4_K_M"): 0.986,
}


def test_the_four_checkpoints_and_the_demo_have_cards() -> None:
    assert list(cards()) == [
        "seallms-v3-7b-chat",
        "seallms-v3-7b",
        "seallms-v3-1.5b-chat",
        "seallms-v3-1.5b",
        "smollm2-135m-instruct",
    ]


@pytest.mark.parametrize("name", cards())
def test_card_is_usable(name: str) -> None:
    card = cards()[name]

    assert card.name == name == card.title.lower()
    assert [by_code(code).code for code in card.languages] == list(card.languages)
    assert card.license_url.startswith("https://")
    assert card.license_summary
    assert Sampling().replace(card.sampling) != Sampling() or not card.sampling
    assert bool(card.default_system) == card.chat
    assert bool(card.stand_in) == bool(card.package)


@pytest.mark.parametrize(("name", "parameters"), [("seallms-v3-7b", 7_615_616_512), ("seallms-v3-1.5b", 1_543_714_304)])
def test_parameters_are_those_of_the_checkpoint(name: str, parameters: int) -> None:
    assert cards()[name].parameters == cards()[f"{name}-chat"].parameters == parameters


@pytest.mark.parametrize(("name", "kib"), [("seallms-v3-7b", 56), ("seallms-v3-1.5b", 28)])
def test_kv_cache_is_that_of_the_checkpoint(name: str, kib: int) -> None:
    assert cards()[name].shape.kv_bytes_per_token == kib * 1024


@pytest.mark.parametrize(("name", "type_name"), MEASURED)
def test_size_is_within_a_percent_of_a_real_file(name: str, type_name: str) -> None:
    assert cards()[name].size(type_name) == pytest.approx(MEASURED[name, type_name] * 1e9, rel=0.01)


def test_size_of_the_demo_is_exact(demo_file: Path) -> None:
    assert cards()["smollm2-135m-instruct"].size("Q4_1") == demo_file.stat().st_size


def test_unknown_type_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        cards()["seallms-v3-7b"].size("Q9_X")


def test_larger_types_make_larger_files() -> None:
    sizes = [cards()["seallms-v3-7b"].size(name) for name in TYPES]
    assert sizes == sorted(sizes, reverse=True)


def test_shape_counts_every_tensor_of_a_file(write_gguf: Callable[..., Path]) -> None:
    shape = Dimensions(n_layer=3, n_embd=256, n_head=4, n_head_kv=2, n_ff=512, n_vocab=320, tied=True, qkv_bias=True)
    header = read_header(write_gguf(shape=shape, kind=8))

    assert shape.n_params == header.n_params
    assert tensor_bytes(shape, "Q8_0") == header.tensor_bytes


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("seallms-v3-1.5b-chat", "seallms-v3-1.5b-chat"),
        ("SeaLLMs-v3-1.5B-Chat-Q4_K_M", "seallms-v3-1.5b-chat"),
        ("SeaLLMs-v3-7B-Chat.Q4_K_M", "seallms-v3-7b-chat"),
        ("SeaLLMs-v3-7B-Chat.Q4_K_M.gguf", "seallms-v3-7b-chat"),
        ("seallms_v3_7b_chat.q8_0.GGUF", "seallms-v3-7b-chat"),
        ("SeaLLMs/SeaLLMs-v3-7B", "seallms-v3-7b"),
        ("https://huggingface.co/SeaLLMs/SeaLLMs-v3-7B/", "seallms-v3-7b"),
        ("/tmp/mô hình/SeaLLMs-v3-7B", "seallms-v3-7b"),
        (r"C:\models\SeaLLMs-v3-1.5B", "seallms-v3-1.5b"),
        ("models--SeaLLMs--SeaLLMs-v3-1.5B-Chat", "seallms-v3-1.5b-chat"),
        ("QuantFactory/SeaLLMs-v3-7B-Chat-GGUF", "seallms-v3-7b-chat"),
        ("SeaLLMs-v3-7B-F16-00001-of-00003.gguf", "seallms-v3-7b"),
        ("ＳｅａＬＬＭｓ-v3-7B", "seallms-v3-7b"),
        ("SmolLM2-135M-Instruct.Q4_1", "smollm2-135m-instruct"),
        ("SeaLLMs-v3-7B-Chat-mine", None),
        ("SeaLLMs-v3-7B-Cha", None),
        ("SeaLLM-7B-v2.5", None),
        ("SmolLM2-135M", None),
        ("", None),
        ("/", None),
    ],
)
def test_names_mean_their_card_and_no_other(name: str, card: str | None) -> None:
    found = match(name)
    assert (found.name if found else None) == card


def test_find_suggests_the_nearest_name() -> None:
    with pytest.raises(ModelNotFound) as caught:
        find("seallm-v3-7b-caht")
    assert caught.value.message == "no model named 'seallm-v3-7b-caht'; did you mean 'seallms-v3-7b-chat'?"


def test_demo_file_has_its_card_by_its_content_even_when_renamed(demo_file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model.gguf"
    copy.symlink_to(demo_file)

    assert match_header(read_header(copy)) == cards()["smollm2-135m-instruct"]


def test_file_that_only_bears_the_name_has_no_card(write_gguf: Callable[..., Path]) -> None:
    assert match_header(read_header(write_gguf("SeaLLMs-v3-7B-Chat-Q8_0.gguf"))) is None


CARD = """
name = "a"
title = "A"
source_repo = "b/a"
architecture = "qwen2"
chat = true
languages = ["en"]
license_name = "mit"
license_url = "https://example.org"
license_summary = "free"
context_length = 4096
[shape]
n_layer = 2
n_embd = 64
n_head = 4
n_head_kv = 2
n_ff = 128
n_vocab = 300
tied = true
qkv_bias = false
"""


def test_sound_card_is_read() -> None:
    assert read_card(CARD, "a.toml").languages == ("en",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name = ", "is not TOML: Invalid value (at end of document)"),
        (CARD.replace("[shape]", "[form]"), "lacks 'shape'"),
        (CARD.replace("chat = true\n", ""), "missing 1 required positional argument: 'chat'"),
        (CARD.replace("n_ff = 128\n", ""), "[shape] missing 1 required positional argument: 'n_ff'"),
        (CARD.replace("chat =", "chta ="), "got an unexpected keyword argument 'chta'"),
    ],
)
def test_bad_card_is_named_with_its_problem(text: str, problem: str) -> None:
    with pytest.raises(SeaLLMError) as caught:
        read_card(text, "a.toml")
    assert caught.value.message == f"card a.toml: {problem}"
