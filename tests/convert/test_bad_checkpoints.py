"""Damaged and foreign checkpoints are refused in a sentence that names what is wrong; nothing is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.convert import convert, plan_conversion
from seallm_edge.errors import CheckpointError, ConversionError, InvalidOption

Checkpoints = Callable[..., Any]
Q_PROJ = "model.layers.0.self_attn.q_proj.weight"


def refusal(folder: Path) -> str:
    """The message with which the checkpoint is refused."""
    out = folder.parent / "out.gguf"
    with pytest.raises(CheckpointError) as caught:
        convert(folder, out)
    assert not list(folder.parent.glob("out.gguf*"))
    assert caught.value.cure
    return caught.value.message


def edit_header(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the JSON header of a safetensors file, leaving its data."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    changed = change(header)
    text = changed if isinstance(changed, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])


def test_no_such_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere") == f"nowhere: no such folder: {tmp_path / 'nowhere'}"


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    assert refusal(tmp_path / "notes.txt") == "notes.txt: is a file, not a folder"


def test_a_gguf_is_converted_already(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").touch()
    assert refusal(tmp_path / "model.gguf") == "model.gguf: is a GGUF file already"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file(name: str, checkpoint: Checkpoints) -> None:
    folder = checkpoint().path
    (folder / name).unlink()
    assert (
        refusal(folder)
        == {
            "config.json": "config.json: cannot be read: No such file or directory",
            "tokenizer.json": "tiny: has no tokenizer.json",
            "model.safetensors": "tiny: has no *.safetensors",
        }[name]
    )


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"a": ', "is not JSON"),
        (b"[1, 2]", "is not a JSON object"),
        (b'{"a": "\xff"}', "is not UTF-8 text"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON"),
    ],
)
def test_a_settings_file_that_is_damaged(name: str, content: bytes, problem: str, checkpoint: Checkpoints) -> None:
    folder = checkpoint().path
    (folder / name).write_bytes(content)
    assert refusal(folder).startswith(f"{name}: {problem}")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"architectures": ["LlamaForCausalLM"]}, "cannot convert a LlamaForCausalLM"),
        ({"architectures": ["Qwen2MoeForCausalLM"]}, "cannot convert a Qwen2MoeForCausalLM"),
        ({"architectures": []}, "names no architecture"),
        ({"architectures": None}, "names no architecture"),
        ({"quantization_config": {"quant_method": "gptq"}}, "the checkpoint is quantized already (gptq)"),
        ({"hidden_size": "256"}, "hidden_size is '256', not a whole number from 1 to 2147483647"),
        ({"hidden_size": True}, "hidden_size is True, not a whole number from 1 to 2147483647"),
        ({"hidden_size": None}, "hidden_size is None, not a whole number from 1 to 2147483647"),
        ({"num_hidden_layers": 10**12}, "num_hidden_layers is 1000000000000, not a whole number from 1 to 512"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0, not a whole number from 1 to 2147483647"),
        ({"num_attention_heads": 3}, "a hidden size of 256 cannot be split over 3 heads and 2 key-value heads"),
        ({"num_key_value_heads": 3}, "a hidden size of 256 cannot be split over 4 heads and 3 key-value heads"),
        ({"head_dim": 128}, "a head_dim of 128 is not hidden_size / num_attention_heads"),
        ({"hidden_act": "gelu"}, "the activation 'gelu' is not 'silu'"),
        ({"rms_norm_eps": "small"}, "rms_norm_eps is 'small', not a positive number"),
        ({"rope_theta": float("inf")}, "rope_theta is inf, not a positive number"),
        ({"rope_scaling": {"type": "dynamic"}}, "rope scaling 'dynamic' is neither 'linear' nor 'yarn'"),
        ({"rope_scaling": [1]}, "rope_scaling is [1], not an object"),
        ({"rope_scaling": {"type": "linear"}}, "factor is None, not a positive number"),
        (
            {"use_sliding_window": True, "max_window_layers": 1},
            "sliding-window attention (use_sliding_window) is not supported",
        ),
    ],
)
def test_a_config_that_cannot_be_converted(changes: dict[str, Any], problem: str, checkpoint: Checkpoints) -> None:
    made = checkpoint()
    made.edit("config.json", lambda config: config.update(changes))
    assert refusal(made.path) == f"config.json: {problem}"


@pytest.mark.parametrize("indexed", [True, False])
def test_a_missing_shard(indexed: bool, checkpoint: Checkpoints) -> None:
    folder = checkpoint(shards=3).path
    (folder / "model-00002-of-00003.safetensors").unlink()
    if not indexed:
        (folder / "model.safetensors.index.json").unlink()
    assert refusal(folder) == "tiny: the shard model-00002-of-00003.safetensors is missing"


def test_shards_without_an_index_are_converted(checkpoint: Checkpoints, tmp_path: Path) -> None:
    folder = checkpoint(shards=3).path
    with_index = convert(folder, tmp_path / "with.gguf").read_bytes()
    (folder / "model.safetensors.index.json").unlink()
    assert convert(folder, tmp_path / "without.gguf").read_bytes() == with_index


@pytest.mark.parametrize("outside", ["../model.safetensors", "/etc/passwd", "a\\b", "..", "", 7, "C:x"])
def test_an_index_may_name_only_files_of_its_folder(outside: Any, checkpoint: Checkpoints) -> None:
    made = checkpoint(shards=3)
    made.edit("model.safetensors.index.json", lambda index: index["weight_map"].update({Q_PROJ: outside}))
    problem = f"{Q_PROJ} is said to be in {outside!r}, which is no file of this folder"
    assert refusal(made.path) == f"model.safetensors.index.json: {problem}"


def test_an_index_that_contradicts_a_shard(checkpoint: Checkpoints) -> None:
    made = checkpoint(shards=3)
    made.edit("model.safetensors.index.json", lambda index: index["weight_map"].pop(Q_PROJ) and None)
    name = "model-00001-of-00003.safetensors"
    assert refusal(made.path) == f"{name}: holds {Q_PROJ}, which model.safetensors.index.json does not say"
    made.edit("model.safetensors.index.json", lambda index: index["weight_map"].update({Q_PROJ: name, "more": name}))
    assert refusal(made.path) == f"{name}: lacks more, which model.safetensors.index.json says it holds"


def test_an_index_without_a_map(checkpoint: Checkpoints) -> None:
    made = checkpoint(shards=3)
    made.edit("model.safetensors.index.json", lambda _: {"weight_map": []})
    assert refusal(made.path) == "model.safetensors.index.json: has no weight_map"


def test_a_tensor_in_two_shards(checkpoint: Checkpoints) -> None:
    folder = checkpoint(shards=3).path
    (folder / "model.safetensors.index.json").unlink()
    first = folder / "model-00001-of-00003.safetensors"
    (folder / "model-00002-of-00003.safetensors").write_bytes(first.read_bytes())
    message = f"holds model.embed_tokens.weight, and so does {first.name}"
    assert refusal(folder) == f"model-00002-of-00003.safetensors: {message}"


def test_a_truncated_shard(checkpoint: Checkpoints) -> None:
    folder = checkpoint().path
    path = folder / "model.safetensors"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1000])
    assert refusal(folder) == f"model.safetensors: truncated: 1,000 of its {size:,} bytes are missing"


@pytest.mark.parametrize("content", [b"", b"1234567", b"\xff" * 8 + b"{}", b"\x00" * 7 + b"\x7f" + b"{}"])
def test_a_header_of_absurd_length(content: bytes, checkpoint: Checkpoints) -> None:
    folder = checkpoint().path
    (folder / "model.safetensors").write_bytes(content)
    assert refusal(folder).startswith("model.safetensors: not a whole safetensors file: a header of ")


def test_bytes_after_the_last_tensor(checkpoint: Checkpoints) -> None:
    folder = checkpoint().path
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"1234")
    assert refusal(folder) == "model.safetensors: 4 bytes after its last tensor are no tensor's"


def moved(by: int) -> Callable[[dict[str, Any]], None]:
    def move(header: dict[str, Any]) -> None:
        header[Q_PROJ]["data_offsets"] = [offset + by for offset in header[Q_PROJ]["data_offsets"]]

    return move


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (moved(-2), f"the bytes of {Q_PROJ} overlap those of model.embed_tokens.weight"),
        (moved(2), f"2 bytes between model.embed_tokens.weight and {Q_PROJ} are no tensor's"),
        (lambda h: h[Q_PROJ].update(dtype="I4"), f"{Q_PROJ}: dtype 'I4' is none of F32, F16, BF16"),
        (lambda h: h[Q_PROJ].update(dtype=["F32"]), f"{Q_PROJ}: dtype ['F32'] is none of F32, F16, BF16"),
        (
            lambda h: h[Q_PROJ].update(shape=[256, 255]),
            f"{Q_PROJ}: BF16 [256, 255] takes 130,560 bytes but has 131,072",
        ),
        (lambda h: h[Q_PROJ].update(shape=[-1, -65536]), f"{Q_PROJ}: shape [-1, -65536] at 147456 to 278528 makes no"),
        (lambda h: h[Q_PROJ].update(shape=[2**80]), f"{Q_PROJ}: shape [{2**80}] at 147456 to 278528 makes no sense"),
        (lambda h: h[Q_PROJ].update(shape="256"), f"{Q_PROJ}: shape 256 at 147456 to 278528 makes no sense"),
        (lambda h: h[Q_PROJ].update(data_offsets=[8, 0]), f"{Q_PROJ}: shape [256, 256] at 8 to 0 makes no sense"),
        (lambda h: h[Q_PROJ].update(data_offsets=[0]), f"{Q_PROJ}: its entry lacks dtype, shape or data_offsets"),
        (lambda h: h[Q_PROJ].pop("shape") and None, f"{Q_PROJ}: its entry lacks dtype, shape or data_offsets"),
        (lambda h: h.update({Q_PROJ: 3}), f"{Q_PROJ}: its entry lacks dtype, shape or data_offsets"),
        (lambda _: b'{"a": 1, "b": 2, "a": 3}', "the header names 'a' twice"),
        (lambda _: b"{{{", "the header is not JSON"),
        (lambda _: b"\xff\xfe", "the header is not JSON"),
        (lambda _: b"[]", "the header is not a JSON object"),
        (lambda _: b"[" * 100_000, "the header is not JSON"),
    ],
)
def test_a_shard_with_a_header_that_lies(
    change: Callable[[dict[str, Any]], Any], problem: str, checkpoint: Checkpoints
) -> None:
    folder = checkpoint().path
    edit_header(folder / "model.safetensors", change)
    assert refusal(folder).startswith(f"model.safetensors: {problem}")


def test_missing_tensors_are_named(checkpoint: Checkpoints) -> None:
    made = checkpoint(layers=3)
    made.edit("config.json", lambda config: config.update(num_hidden_layers=4))
    names = ", ".join(f"model.layers.3.{part}" for part in ("input_layernorm.weight", "self_attn.q_proj.weight"))
    assert refusal(made.path) == f"tiny: lacks {names}, model.layers.3.self_attn.q_proj.bias and 9 more"


def test_an_untied_model_without_its_output_matrix(checkpoint: Checkpoints) -> None:
    made = checkpoint()
    made.edit("config.json", lambda config: config.update(tie_word_embeddings=False))
    assert refusal(made.path) == "tiny: lacks lm_head.weight"


def test_tensors_of_something_else_are_named(checkpoint: Checkpoints) -> None:
    made = checkpoint(layers=3)
    made.edit("config.json", lambda config: config.update(num_hidden_layers=2))
    assert refusal(made.path).startswith("tiny: holds what no Qwen2ForCausalLM has: model.layers.2.")


def test_a_tensor_of_another_shape(checkpoint: Checkpoints) -> None:
    made = checkpoint()
    made.edit("config.json", lambda config: config.update(intermediate_size=500))
    problem = "model.layers.0.mlp.gate_proj.weight has the shape [512, 256] but config.json makes it [500, 256]"
    assert refusal(made.path) == f"model.safetensors: {problem}"


def replace_pattern(content: dict[str, Any]) -> None:
    content["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\w+"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: t["model"].update(type="Unigram"), "is no byte-level BPE tokenizer"),
        (lambda t: t.update(model=None), "is no byte-level BPE tokenizer"),
        (lambda t: t.update(normalizer={"type": "NFKC"}), "normalizes text otherwise than by NFC"),
        (replace_pattern, "splits text otherwise than qwen2 does"),
        (lambda t: t.update(pre_tokenizer=None), "splits text otherwise than qwen2 does"),
        (lambda t: t["model"].update(vocab={}), "has no vocabulary"),
        (lambda t: t["model"]["vocab"].update(x=288), "gives 'x' the id 288, but the model has 288 rows"),
        (lambda t: t["model"]["vocab"].update(x=-1), "gives 'x' the id -1, but the model has 288 rows"),
        (lambda t: t["model"]["vocab"].update(x="5"), "gives 'x' the id '5', but the model has 288 rows"),
        (lambda t: t["model"]["vocab"].update(zz=258), "gives the id 258 to 'the' and to 'zz'"),
        (lambda t: t["added_tokens"].append({"id": 280, "content": "the"}), "gives two tokens the same text"),
        (lambda t: t["added_tokens"].append("x"), "has an added token without id or content"),
        (lambda t: t["added_tokens"].pop() and None, "has no <|im_end|>, which ends the text of this model"),
        (lambda t: t["model"].update(merges=[]), "has no merges"),
        (lambda t: t["model"].update(merges=["a b c"]), "has a merge that is no pair: 'a b c'"),
        (lambda t: t["model"].update(merges=[["a"]]), "has a merge that is no pair: 'a'"),
        (lambda t: t["model"].update(merges=[[1, 2]]), "has a merge that is no pair: [1, 2]"),
    ],
)
def test_a_tokenizer_that_llama_cpp_would_get_wrong(
    change: Callable[[dict[str, Any]], Any], problem: str, checkpoint: Checkpoints
) -> None:
    made = checkpoint()
    made.edit("tokenizer.json", change)
    assert refusal(made.path) == f"tokenizer.json: {problem}"


def test_a_token_that_is_no_unicode(checkpoint: Checkpoints) -> None:
    made = checkpoint()
    made.edit("tokenizer.json", lambda content: content["model"]["vocab"].update({"\ud800": 270}))
    assert refusal(made.path).startswith("tiny: its tokenizer holds text that is no Unicode")


@pytest.mark.parametrize(("dtype", "bits"), [("BF16", b"\x80\x7f"), ("BF16", b"\xc0\xff"), ("F16", b"\x00\xfc")])
def test_weights_that_are_not_finite_are_refused(dtype: str, bits: bytes, checkpoint: Checkpoints) -> None:
    path = checkpoint(dtype=dtype).path / "model.safetensors"
    raw = path.read_bytes()
    path.write_bytes(raw[:-700] + bits + raw[-698:])
    assert refusal(path.parent).endswith("layernorm.weight holds numbers that are not finite")


@pytest.mark.parametrize("type_name", ["F16", "Q8_0", "Q4_K_M"])
@pytest.mark.parametrize("bits", [b"\x7f\x7f", b"\x00\xcf", b"\x80\xcf"])
def test_weights_too_large_for_the_type_are_refused(
    bits: bytes, type_name: str, checkpoint: Checkpoints, tmp_path: Path
) -> None:
    path = checkpoint().path / "model.safetensors"
    raw = path.read_bytes()
    at = len(raw) - 2 * (3 * 256 + 256 * 512)  # the first weight of the last ffn_down
    path.write_bytes(raw[:at] + bits + raw[at + 2 :])
    with pytest.raises(ConversionError, match=r"1\.mlp\.down_proj\.weight holds numbers that are too large for [FQ]"):
        convert(path.parent, tmp_path / "out.gguf", type_name)


@pytest.mark.parametrize(
    ("name", "message"),
    [("q4km", "unknown type 'q4km'; did you mean 'q4_k_m'?"), ("INT4", "unknown type 'INT4'"), ("", "unknown type ''")],
)
def test_an_unknown_type_gets_the_nearest_name(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption) as caught:
        plan_conversion(tmp_path, name)
    assert caught.value.message == message
    assert caught.value.cure == "the types are F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q4_K_M, Q4_K_S, Q4_0"


@pytest.mark.parametrize("name", ["q4_k_m", "Q4-K-M", "Q4_K_M"])
def test_type_names_are_known_in_any_case(name: str, checkpoint: Checkpoints) -> None:
    assert plan_conversion(checkpoint().path, name).recipe.name == "Q4_K_M"
