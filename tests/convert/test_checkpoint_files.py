"""Files of a checkpoint that are others: Git LFS pointers, quantized weights, links to folders."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.convert import convert, plan_conversion
from seallm_edge.errors import CheckpointError
from seallm_edge.gguf_file import read_header
from support.checkpoints import Sizes, write_safetensors

Checkpoints = Callable[..., Any]
Refusal = Callable[[Path], str]
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4824460d' * 8}\nsize 269127440\n"


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "model.safetensors.index.json",
        "model-00002-of-00002.safetensors",
    ],
)
def test_a_git_lfs_pointer_is_called_one(name: str, checkpoint: Checkpoints) -> None:
    made = checkpoint(shards=2)
    (made.path / name).write_text(POINTER)
    with pytest.raises(CheckpointError) as caught:
        plan_conversion(made.path)
    assert str(caught.value) == f"{name}: is a Git LFS pointer, not the file itself\n  fetch the files: git lfs pull"


def test_a_pointer_given_as_the_only_file_is_called_one(checkpoint: Checkpoints, refusal: Refusal) -> None:
    path = checkpoint().path / "model.safetensors"
    path.write_text(POINTER)
    assert refusal(path) == "model.safetensors: is a Git LFS pointer, not the file itself"


def with_tensor(made: Any, name: str, dtype: str) -> Path:
    stored = {tensor: ("BF16", shape, made.weights[tensor]) for tensor, shape in Sizes().tensors()}
    write_safetensors(made.path / "model.safetensors", stored | {name: (dtype, (4,), bytes(4))})
    return Path(made.path)


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes"),
        ({"load_in_8bit": True}, "bitsandbytes"),
        ({"bnb_4bit_quant_type": "nf4"}, "bitsandbytes"),
        ({"quant_method": "fp8"}, "fp8"),
        ({"bits": 4}, "unknown method"),
        ("4bit", "unknown method"),
    ],
)
def test_how_a_checkpoint_is_quantized_is_named_before_its_types(
    settings: Any, method: str, checkpoint: Checkpoints, refusal: Refusal
) -> None:
    made = checkpoint()
    made.edit("config.json", lambda config: config.update(quantization_config=settings))
    folder = with_tensor(made, "model.layers.0.mlp.down_proj.weight.absmax", "U8")
    assert refusal(folder) == f"config.json: the checkpoint is quantized already ({method})"


@pytest.mark.parametrize(
    ("name", "dtype", "method"),
    [
        ("model.layers.0.mlp.down_proj.weight.absmax", "U8", "bitsandbytes"),
        ("model.layers.0.mlp.down_proj.weight.quant_map", "F32", "bitsandbytes"),
        ("model.layers.0.mlp.down_proj.SCB", "F32", "bitsandbytes"),
        ("model.layers.0.mlp.down_proj.qzeros", "I32", "GPTQ or AWQ"),
    ],
)
def test_quantized_weights_that_config_json_does_not_tell_of_are_known_by_their_names(
    name: str, dtype: str, method: str, checkpoint: Checkpoints, refusal: Refusal
) -> None:
    message = f"model.safetensors: {name}: the checkpoint is quantized already ({method})"
    assert refusal(with_tensor(checkpoint(), name, dtype)) == message


def test_a_type_of_unknown_making_is_named(checkpoint: Checkpoints, refusal: Refusal) -> None:
    assert refusal(with_tensor(checkpoint(), "extra", "U8")) == (
        "model.safetensors: extra: dtype 'U8' is none of F32, F16, BF16"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_to_a_folder_has_its_own_name(checkpoint: Checkpoints, tmp_path: Path) -> None:
    link = tmp_path / "SeaLLMs-v3-1.5B-Chat"
    link.symlink_to(checkpoint("blob-0a1b2c").path, target_is_directory=True)
    keys = read_header(convert(link, tmp_path / "out.gguf", "Q8_0", verify="none")).metadata
    assert (keys["general.name"], keys["general.license.name"]) == ("SeaLLMs-v3-1.5B-Chat", "seallms")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_to_a_revision_in_a_hub_cache_has_its_own_name_too(checkpoint: Checkpoints, tmp_path: Path) -> None:
    link = tmp_path / "mine"
    link.symlink_to(checkpoint("models--SeaLLMs--SeaLLMs-v3-1.5B/snapshots/0a1b2c").path, target_is_directory=True)
    assert plan_conversion(link).content.name == "mine"


def test_the_folder_one_is_in_has_its_name(
    checkpoint: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkpoint("my-tune").path)
    assert plan_conversion(".").content.name == "my-tune"
    (tmp_path / "my-tune" / "inner").mkdir()
    monkeypatch.chdir("inner")
    assert plan_conversion("..").content.name == "my-tune"
