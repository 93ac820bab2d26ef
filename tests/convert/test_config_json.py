"""Positions and attention in config.json: converted so that the file computes the same, or reported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import SeaLLM
from seallm_edge.convert import convert, plan_conversion
from seallm_edge.gguf_file import Header, read_header
from seallm_edge.native.quantizer import requantize_file

Checkpoints = Callable[..., Any]


def converted(folder: Path, tmp_path: Path, type_name: str = "Q4_0") -> Header:
    return read_header(convert(folder, tmp_path / "out.gguf", type_name, verify="none"))


def with_config(checkpoint: Checkpoints, **settings: Any) -> Path:
    made = checkpoint()
    made.edit("config.json", lambda config: config.update(settings))
    return Path(made.path)


def notes(folder: Path) -> tuple[str, ...]:
    return plan_conversion(folder).content.notes


def rope_keys(header: Header) -> dict[str, Any]:
    keys = {key.partition(".rope.")[2]: value for key, value in header.metadata.items() if ".rope." in key}
    return {key: round(value, 5) if isinstance(value, float) else value for key, value in keys.items()}


def answered(path: Path) -> tuple[int, bool]:
    """(the context that the runtime takes for the file, whether it goes on from a text with it)."""
    with SeaLLM(path) as model:
        return model.n_ctx, model.complete("the", max_tokens=3, temperature=0).usage.reply_tokens > 0


def test_yarn_is_written_as_llama_cpp_names_it(checkpoint: Checkpoints, tmp_path: Path) -> None:
    made = checkpoint()
    scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    made.edit("config.json", lambda config: config.update(rope_scaling=scaling))
    keys = converted(made.path, tmp_path).metadata
    assert {key.removeprefix("qwen2.rope.scaling."): value for key, value in keys.items() if ".scaling." in key} == {
        "type": "yarn",
        "factor": 4.0,
        "original_context_length": 32768,
    }


def test_rope_theta_is_found_where_transformers_5_puts_it(checkpoint: Checkpoints, tmp_path: Path) -> None:
    made = checkpoint()

    def newer(config: dict[str, Any]) -> None:
        config["rope_parameters"] = {"rope_type": "default", "rope_theta": config.pop("rope_theta")}

    made.edit("config.json", newer)
    assert converted(made.path, tmp_path).metadata["qwen2.rope.freq_base"] == 1000000.0


def test_rope_theta_in_rope_parameters_wins_over_an_older_one_beside_it(
    checkpoint: Checkpoints, tmp_path: Path
) -> None:
    folder = with_config(checkpoint, rope_theta=10000.0, rope_parameters={"rope_type": "default", "rope_theta": 5e5})
    assert rope_keys(converted(folder, tmp_path)) == {"freq_base": 500000.0}


def test_rope_parameters_may_be_those_of_full_attention(checkpoint: Checkpoints, tmp_path: Path) -> None:
    folder = with_config(checkpoint, rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 5e5}})
    assert rope_keys(converted(folder, tmp_path)) == {"freq_base": 500000.0}
    assert notes(folder) == ()


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({}, {}),
        ({"attention_factor": 1.5}, {"yarn_attn_factor": 1.5, "attn_factor": 1.31737}),  # over 1 + 0.1 ln 4
        ({"attn_factor": 1.5}, {"yarn_attn_factor": 1.5, "attn_factor": 1.31737}),
        ({"mscale": 1.0, "mscale_all_dim": 1.0}, {"attn_factor": 0.87825}),
        ({"mscale": 1.0}, {}),
        ({"extrapolation_factor": 1.0}, {"yarn_ext_factor": 1.0}),
        ({"beta_fast": 32, "beta_slow": 1}, {"yarn_beta_fast": 32.0, "yarn_beta_slow": 1.0}),
    ],
)
def test_what_yarn_says_of_attention_is_written(
    settings: dict[str, Any], keys: dict[str, Any], checkpoint: Checkpoints, tmp_path: Path
) -> None:
    folder = with_config(checkpoint, rope_parameters={**YARN, "rope_theta": 1e6, **settings})
    found = rope_keys(converted(folder, tmp_path))
    usual = {"scaling.type": "yarn", "scaling.factor": 4.0, "scaling.original_context_length": 1024, "freq_base": 1e6}
    assert found == usual | {f"scaling.{key}": value for key, value in keys.items()}
    assert notes(folder) == ()


def test_a_beta_that_llama_cpp_does_not_read_is_named(checkpoint: Checkpoints) -> None:
    folder = with_config(checkpoint, rope_parameters={**YARN, "beta_fast": 64})
    assert notes(folder) == ("config.json: a beta_fast of 64 is written, but llama.cpp computes with 32",)


def test_the_original_context_may_stand_beside_rope_scaling(checkpoint: Checkpoints, tmp_path: Path) -> None:
    folder = with_config(
        checkpoint, rope_scaling={"type": "yarn", "factor": 4.0}, original_max_position_embeddings=2048
    )
    assert rope_keys(converted(folder, tmp_path))["scaling.original_context_length"] == 2048


@pytest.mark.parametrize(("original", "context"), [(None, 4096), (1024, 1024), (8192, 4096)])
def test_dynamic_scaling_is_none_up_to_the_length_it_begins_at(
    original: int | None, context: int, checkpoint: Checkpoints, tmp_path: Path
) -> None:
    scaling = {"rope_type": "dynamic", "factor": 4.0, "original_max_position_embeddings": original}
    folder = with_config(checkpoint, rope_scaling=scaling)
    header = converted(folder, tmp_path)
    assert (rope_keys(header), header.context_length) == ({"freq_base": 1e6}, context)
    assert notes(folder) == (
        f"config.json: 'dynamic' rope scaling begins past {context:,} tokens, which is the file's context length",
    )
    assert answered(header.path) == (context, True)


@pytest.mark.parametrize(
    ("settings", "n_layers"),
    [
        ({"use_sliding_window": True, "max_window_layers": 0}, 2),
        ({"use_sliding_window": True, "max_window_layers": 1}, 1),
        ({"layer_types": ["full_attention", "sliding_attention"]}, 1),
    ],
)
def test_a_sliding_window_bounds_the_context_to_where_it_is_full_attention(
    settings: dict[str, Any], n_layers: int, checkpoint: Checkpoints, tmp_path: Path
) -> None:
    folder = with_config(checkpoint, sliding_window=1024, **settings)
    header = converted(folder, tmp_path)
    assert header.context_length == 1024
    assert notes(folder) == (
        f"config.json: {n_layers} layers attend to the last 1,024 tokens (sliding-window attention), "
        "which bounds the file's context length",
    )
    assert answered(header.path) == (1024, True)


@pytest.mark.parametrize(
    "settings",
    [
        {"use_sliding_window": False, "sliding_window": 512, "max_window_layers": 0},
        {"use_sliding_window": True, "sliding_window": 512, "max_window_layers": 2},
        {"use_sliding_window": True, "sliding_window": 4096, "max_window_layers": 0},
        {"layer_types": ["full_attention", "full_attention"], "sliding_window": 512, "use_sliding_window": True},
    ],
)
def test_a_window_that_no_layer_has_or_that_holds_the_whole_context_bounds_nothing(
    settings: dict[str, Any], checkpoint: Checkpoints, tmp_path: Path
) -> None:
    folder = with_config(checkpoint, **settings)
    assert (converted(folder, tmp_path).context_length, notes(folder)) == (4096, ())


@pytest.mark.parametrize(("head_dim", "kv_bytes"), [(32, 512), (96, 1536)])
def test_heads_of_another_width_are_written_so_that_llama_cpp_can_load_them(
    head_dim: int, kv_bytes: int, checkpoint: Checkpoints, tmp_path: Path
) -> None:
    folder = checkpoint(head_dim=head_dim).path
    header = converted(folder, tmp_path, "Q8_0")
    lengths = {key: value for key, value in header.metadata.items() if key.endswith("_length") and ".attention." in key}
    assert lengths == {"seed_oss.attention.key_length": head_dim, "seed_oss.attention.value_length": head_dim}
    shapes = {tensor.name: tensor.shape for tensor in header.tensors if tensor.name.startswith("blk.1.attn")}
    assert shapes == {
        "blk.1.attn_norm.weight": (256,),
        "blk.1.attn_q.weight": (256, 4 * head_dim),
        "blk.1.attn_q.bias": (4 * head_dim,),
        "blk.1.attn_k.weight": (256, 2 * head_dim),
        "blk.1.attn_k.bias": (2 * head_dim,),
        "blk.1.attn_v.weight": (256, 2 * head_dim),
        "blk.1.attn_v.bias": (2 * head_dim,),
        "blk.1.attn_output.weight": (4 * head_dim, 256),
    }
    plan = plan_conversion(folder, "Q8_0")
    assert (plan.file_size, plan.content.dimensions.kv_bytes_per_token) == (header.file_size, kv_bytes)  # type: ignore[union-attr]
    assert (header.dimensions.head_dim, header.dimensions.kv_bytes_per_token) == (head_dim, kv_bytes)
    assert answered(header.path) == (4096, True)
    assert notes(folder) == (
        f"config.json: 4 heads of {head_dim} are not the hidden size of 256, which llama.cpp's qwen2 cannot load: "
        "written as seed_oss, which computes the same",
    )


def test_heads_of_another_width_are_quantized_as_llama_cpp_does(checkpoint: Checkpoints, tmp_path: Path) -> None:
    folder = checkpoint(head_dim=96, layers=3).path
    ours, plain = (convert(folder, tmp_path / f"{name}.gguf", name, verify="none") for name in ("Q4_K_M", "BF16"))
    requantize_file(plain, tmp_path / "oracle.gguf", 15, threads=2)
    written = [(t.name, t.type_name, t.shape) for t in read_header(ours).tensors]
    assert sorted(written) == sorted(
        (t.name, t.type_name, t.shape) for t in read_header(tmp_path / "oracle.gguf").tensors
    )


def test_the_usual_width_is_written_where_config_json_states_it(checkpoint: Checkpoints, tmp_path: Path) -> None:
    keys = converted(checkpoint(head_dim=64).path, tmp_path).metadata
    assert (keys["general.architecture"], keys["qwen2.attention.key_length"]) == ("qwen2", 64)
    assert keys["qwen2.attention.value_length"] == 64


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"attention_multiplier": 0.5}, "attention_multiplier"),
        ({"auto_map": {"AutoModelForCausalLM": "modeling_x.X"}}, "auto_map"),
        ({"rope_parameters": {**YARN, "truncate": 2}}, "rope_parameters.truncate"),
    ],
)
def test_a_key_that_nobody_here_knows_is_named(settings: dict[str, Any], key: str, checkpoint: Checkpoints) -> None:
    folder = with_config(checkpoint, **settings)
    sentence = f"config.json: {key} is unknown and not converted; the model may compute otherwise"
    assert notes(folder) == (sentence,)


def test_keys_that_change_nothing_are_not_named(checkpoint: Checkpoints) -> None:
    harmless = {"torch_dtype": "bfloat16", "transformers_version": "5.5.0", "use_cache": True, "attention_dropout": 0.0}
    empty = {"pruned_heads": {}, "task_specific_params": None, "use_mrope": False, "prefix": "", "bad_words_ids": []}
    assert notes(with_config(checkpoint, **harmless, **empty)) == ()
