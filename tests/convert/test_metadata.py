"""Metadata of a converted file, and its end-of-text tokens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.convert import convert
from seallm_edge.gguf_file import Header, read_header

Checkpoints = Callable[..., Any]
END_OF_TEXT, END_OF_TURN = 259, 261


def converted(folder: Path, tmp_path: Path, type_name: str = "Q4_0") -> Header:
    return read_header(convert(folder, tmp_path / "out.gguf", type_name, verify="none"))


def test_a_catalogue_checkpoint_gets_all_its_keys(checkpoint: Checkpoints, tmp_path: Path) -> None:
    header = converted(checkpoint("SeaLLMs-v3-7B-Chat").path, tmp_path)
    scalars = {key: value for key, value in header.metadata.items() if isinstance(value, str | int | float)}
    assert scalars.pop("tokenizer.chat_template").startswith("{% for m in messages %}")
    assert scalars.pop("qwen2.attention.layer_norm_rms_epsilon") == pytest.approx(1e-6)
    assert scalars.pop("general.license.link").startswith("https://huggingface.co/SeaLLMs/")
    assert scalars == {
        "general.architecture": "qwen2",
        "general.type": "model",
        "general.name": "SeaLLMs-v3-7B-Chat",
        "general.basename": "SeaLLMs",
        "general.version": "v3",
        "general.size_label": "7B",
        "general.finetune": "Chat",
        "general.license": "other",
        "general.license.name": "seallms",
        "general.source.url": "https://huggingface.co/SeaLLMs/SeaLLMs-v3-7B-Chat",
        "general.source.repo_url": "https://huggingface.co/SeaLLMs/SeaLLMs-v3-7B-Chat",
        "seallm.converter.version": "0.1.0",
        "seallm.converter.recipe": "Q4_0",
        "general.file_type": 2,
        "general.quantization_version": 2,
        "qwen2.block_count": 2,
        "qwen2.context_length": 4096,
        "qwen2.embedding_length": 256,
        "qwen2.feed_forward_length": 512,
        "qwen2.attention.head_count": 4,
        "qwen2.attention.head_count_kv": 2,
        "qwen2.rope.freq_base": 1000000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.eos_token_id": END_OF_TURN,
        "tokenizer.ggml.bos_token_id": END_OF_TEXT,
        "tokenizer.ggml.padding_token_id": END_OF_TEXT,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.add_eos_token": False,
    }


def test_the_languages_of_a_catalogue_checkpoint_are_written(checkpoint: Checkpoints, tmp_path: Path) -> None:
    header = converted(checkpoint("SeaLLMs-v3-7B-Chat").path, tmp_path)
    languages = ["en", "id", "jv", "km", "lo", "ms", "my", "ta", "th", "tl", "vi", "zh"]
    assert sorted(header.array("general.languages")) == languages


def test_an_unknown_checkpoint_is_named_after_its_folder(checkpoint: Checkpoints, tmp_path: Path) -> None:
    keys = converted(checkpoint("mô hình của tôi").path, tmp_path).metadata
    general = {key: value for key, value in keys.items() if key.startswith("general.")}
    assert general == {
        "general.architecture": "qwen2",
        "general.type": "model",
        "general.name": "mô hình của tôi",
        "general.basename": "mô hình của tôi",
        "general.size_label": "1M",
        "general.finetune": "Chat",
        "general.file_type": 2,
        "general.quantization_version": 2,
    }


def test_a_revision_in_a_hub_cache_is_named_after_its_repository(checkpoint: Checkpoints, tmp_path: Path) -> None:
    folder = checkpoint("models--SeaLLMs--SeaLLMs-v3-1.5B/snapshots/0a1b2c").path
    assert converted(folder, tmp_path).name == "SeaLLMs-v3-1.5B"


def test_a_fine_tune_keeps_its_own_name_but_has_its_parents_licence(checkpoint: Checkpoints, tmp_path: Path) -> None:
    made = checkpoint("my-tune")
    made.edit("config.json", lambda config: config.update(_name_or_path="SeaLLMs/SeaLLMs-v3-1.5B"))
    keys = converted(made.path, tmp_path).metadata
    assert (keys["general.name"], keys["general.license.name"]) == ("my-tune", "seallms")
    assert keys["tokenizer.ggml.eos_token_id"] == END_OF_TURN


def drop_generation_config(made: Any) -> None:
    (made.path / "generation_config.json").unlink()


def drop_tokenizer_eos(made: Any) -> None:
    made.edit("tokenizer_config.json", lambda settings: settings.update(eos_token="<|endoftext|>"))


@pytest.mark.parametrize(
    ("name", "changes", "eos"),
    [
        ("tuned", [], END_OF_TURN),
        ("tuned", [drop_generation_config], END_OF_TURN),
        ("tuned", [drop_tokenizer_eos], END_OF_TURN),
        ("tuned", [drop_generation_config, drop_tokenizer_eos], END_OF_TEXT),
        ("SeaLLMs-v3-1.5B-Chat", [drop_generation_config, drop_tokenizer_eos], END_OF_TURN),
        ("SeaLLMs-v3-1.5B", [], END_OF_TEXT),
    ],
)
def test_a_chat_model_ends_its_turn_whatever_config_json_says(
    name: str, changes: list[Callable[[Any], None]], eos: int, checkpoint: Checkpoints, tmp_path: Path
) -> None:
    made = checkpoint(name)
    for change in changes:
        change(made)
    assert converted(made.path, tmp_path).metadata["tokenizer.ggml.eos_token_id"] == eos


def test_a_special_token_may_be_written_as_an_object(checkpoint: Checkpoints, tmp_path: Path) -> None:
    made = checkpoint()
    drop_generation_config(made)
    made.edit("tokenizer_config.json", lambda settings: settings.update(eos_token={"content": "<|im_end|>"}))
    assert converted(made.path, tmp_path).metadata["tokenizer.ggml.eos_token_id"] == END_OF_TURN


def test_rows_past_the_vocabulary_are_unused_tokens(checkpoint: Checkpoints, tmp_path: Path) -> None:
    header = converted(checkpoint().path, tmp_path)
    tokens, kinds = header.array("tokenizer.ggml.tokens"), header.array("tokenizer.ggml.token_type")
    assert tokens[256:264] == ["th", "an", "the", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "[PAD262]", "[PAD263]"]
    assert kinds[256:264].tolist() == [1, 1, 1, 3, 3, 3, 5, 5]
    assert (len(tokens), len(kinds)) == (288, 288)


def test_an_added_token_that_is_not_special_is_the_users(checkpoint: Checkpoints, tmp_path: Path) -> None:
    made = checkpoint()
    added = [{"id": 262, "content": "<think>", "special": False}, {"id": 263, "content": "<|x|>", "special": False}]
    made.edit("tokenizer.json", lambda content: content["added_tokens"].extend(added))
    kinds = converted(made.path, tmp_path).array("tokenizer.ggml.token_type")
    assert kinds[262:265].tolist() == [4, 3, 5]


def test_merges_may_be_pairs_or_joined(checkpoint: Checkpoints, tmp_path: Path) -> None:
    made = checkpoint()
    made.edit("tokenizer.json", lambda content: content["model"].update(merges=[["t", "h"], "a n", ["th", "e"]]))
    assert converted(made.path, tmp_path).array("tokenizer.ggml.merges") == ["t h", "a n", "th e"]


@pytest.mark.parametrize(
    "template",
    ["{{ plain }}", [{"name": "tool_use", "template": "{{ tools }}"}, {"name": "default", "template": "{{ plain }}"}]],
)
def test_the_default_chat_template_is_kept(template: Any, checkpoint: Checkpoints, tmp_path: Path) -> None:
    made = checkpoint()
    made.edit("tokenizer_config.json", lambda settings: settings.update(chat_template=template))
    assert converted(made.path, tmp_path).metadata["tokenizer.chat_template"] == "{{ plain }}"


def test_a_template_file_goes_before_the_one_in_tokenizer_config(checkpoint: Checkpoints, tmp_path: Path) -> None:
    made = checkpoint()
    (made.path / "chat_template.jinja").write_text("{{ file }}")
    assert converted(made.path, tmp_path).metadata["tokenizer.chat_template"] == "{{ file }}"
