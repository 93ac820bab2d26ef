"""Sampling metadata, with the keys, types and order of llama.cpp's converter."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.convert import convert, plan_conversion
from seallm_edge.gguf_file import Header, read_header

Checkpoints = Callable[..., Any]
PREFIX = "general.sampling."


def converted(made: Any, generation_config: dict[str, Any], tmp_path: Path) -> Header:
    (made.path / "generation_config.json").write_text(json.dumps(generation_config))
    return read_header(convert(made.path, tmp_path / "out.gguf", "Q4_0", verify="none"))


def sampling(header: Header) -> dict[str, tuple[Any, str]]:
    """{key: (its value, rounded; its type)}."""
    values = {key: value for key, value in header.metadata.items() if key.startswith(PREFIX)}
    rounded = {key: round(value, 6) if isinstance(value, float) else value for key, value in values.items()}
    return {key.removeprefix(PREFIX): (value, header.places[key].value_type) for key, value in rounded.items()}


def test_the_keys_of_a_seallms_chat_checkpoint_are_those_of_llama_cpps_converter_in_its_order(
    checkpoint: Checkpoints, tmp_path: Path
) -> None:
    settings = {"do_sample": True, "eos_token_id": [261, 259], "temperature": 0.7, "repetition_penalty": 1.05}
    header = converted(checkpoint("SeaLLMs-v3-1.5B-Chat"), settings, tmp_path)
    of_the_catalogue = ("general.version", "general.license", "general.source", "general.languages", "seallm.")
    assert [key for key in header.places if not key.startswith(of_the_catalogue)] == [
        "general.architecture",
        "general.type",
        "general.sampling.temp",
        "general.sampling.penalty_repeat",
        "general.name",
        "general.finetune",
        "general.basename",
        "general.size_label",
        "qwen2.block_count",
        "qwen2.context_length",
        "qwen2.embedding_length",
        "qwen2.feed_forward_length",
        "qwen2.attention.head_count",
        "qwen2.attention.head_count_kv",
        "qwen2.rope.freq_base",
        "qwen2.attention.layer_norm_rms_epsilon",
        "general.file_type",
        "general.quantization_version",
        "tokenizer.ggml.model",
        "tokenizer.ggml.pre",
        "tokenizer.ggml.tokens",
        "tokenizer.ggml.token_type",
        "tokenizer.ggml.merges",
        "tokenizer.ggml.eos_token_id",
        "tokenizer.ggml.padding_token_id",
        "tokenizer.ggml.bos_token_id",
        "tokenizer.ggml.add_bos_token",
        "tokenizer.ggml.add_eos_token",
        "tokenizer.chat_template",
    ]
    assert sampling(header) == {"temp": (0.7, "float32"), "penalty_repeat": (1.05, "float32")}


def test_every_sampling_setting_has_llama_cpps_key_and_type(checkpoint: Checkpoints, tmp_path: Path) -> None:
    settings = {
        "mirostat_eta": 0.1,
        "mirostat_tau": 5,
        "mirostat": 2,
        "repetition_penalty": 1.5,
        "penalty_repeat": 1.25,
        "penalty_last_n": -1,
        "temperature": 1,
        "xtc_threshold": 0.125,
        "xtc_probability": 0.5,
        "min_p": 0.0625,
        "top_p": 0.75,
        "top_k": 20,
        "sequence": "kpt",
    }
    assert list(sampling(converted(checkpoint(), settings, tmp_path)).items()) == [
        ("sequence", ("kpt", "string")),
        ("top_k", (20, "int32")),
        ("top_p", (0.75, "float32")),
        ("min_p", (0.0625, "float32")),
        ("xtc_probability", (0.5, "float32")),
        ("xtc_threshold", (0.125, "float32")),
        ("temp", (1.0, "float32")),
        ("penalty_last_n", (-1, "int32")),
        ("penalty_repeat", (1.25, "float32")),
        ("mirostat", (2, "int32")),
        ("mirostat_tau", (5.0, "float32")),
        ("mirostat_eta", (0.1, "float32")),
    ]


def test_a_setting_that_is_null_or_missing_has_no_key(checkpoint: Checkpoints, tmp_path: Path) -> None:
    settings = {"temperature": None, "penalty_repeat": None, "repetition_penalty": 1.05}
    assert sampling(converted(checkpoint(), settings, tmp_path)) == {}


@pytest.mark.parametrize(
    ("setting", "note"),
    [
        ({"temperature": "0.7"}, "temperature is '0.7', not a number"),
        ({"temperature": True}, "temperature is True, not a number"),
        ({"top_p": 1e300}, "top_p is 1e+300, not a number"),
        ({"top_p": float("nan")}, "top_p is nan, not a number"),
        ({"top_k": 20.5}, "top_k is 20.5, not a whole number"),
        ({"top_k": 2**31}, "top_k is 2147483648, not a whole number"),
        ({"sequence": ["k"]}, "sequence is ['k'], not a text"),
    ],
)
def test_a_setting_of_the_wrong_type_is_named_and_left_out(
    setting: dict[str, Any], note: str, checkpoint: Checkpoints
) -> None:
    made = checkpoint()
    made.edit("generation_config.json", lambda config: config.update(setting))
    content = plan_conversion(made.path).content
    assert content.notes == (f"generation_config.json: {note}: left out",)
    assert not [key for key in content.metadata if key.startswith(PREFIX)]
