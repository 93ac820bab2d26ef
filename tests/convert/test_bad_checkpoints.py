"""Foreign and incomplete checkpoints: refused in a sentence that names the problem; nothing is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.catalogue.recipes import RECIPES
from seallm_edge.convert import plan_conversion
from seallm_edge.errors import InvalidOption

Checkpoints = Callable[..., Any]
Refusal = Callable[[Path], str]


def test_no_such_folder(tmp_path: Path, refusal: Refusal) -> None:
    assert refusal(tmp_path / "nowhere") == "nowhere: there is no such folder"


def test_a_file_where_a_folder_should_be(tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "notes.txt").touch()
    assert refusal(tmp_path / "notes.txt") == "notes.txt: is a file, not a folder"


def test_a_gguf_is_converted_already(tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "model.gguf").touch()
    assert refusal(tmp_path / "model.gguf") == "model.gguf: is a GGUF file already"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file(name: str, checkpoint: Checkpoints, refusal: Refusal) -> None:
    folder = checkpoint().path
    (folder / name).unlink()
    assert (
        refusal(folder)
        == {
            "config.json": "tiny: is no whole checkpoint: it has no config.json",
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
def test_a_settings_file_that_is_damaged(
    name: str, content: bytes, problem: str, checkpoint: Checkpoints, refusal: Refusal
) -> None:
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
        ({"head_dim": 63}, "a head_dim of 63 is odd"),
        ({"head_dim": "64"}, "head_dim is '64', not a whole number from 1 to 2147483647"),
        ({"hidden_act": "gelu"}, "the activation 'gelu' is not 'silu'"),
        ({"rms_norm_eps": "small"}, "rms_norm_eps is 'small', not a positive number"),
        ({"rope_theta": float("inf")}, "rope_theta is inf, not a positive number"),
        ({"rope_scaling": {"type": "mrope"}}, "rope scaling 'mrope' is none of 'linear', 'yarn' and 'dynamic'"),
        ({"rope_parameters": [1]}, "rope_parameters is [1], not an object"),
        (
            {
                "rope_parameters": {"rope_type": "linear", "factor": 2.0},
                "rope_scaling": {"type": "linear", "factor": 4.0},
            },
            "rope_parameters and rope_scaling contradict each other",
        ),
        (
            {"rope_parameters": {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}},
            "rope_parameters gives layers of sliding attention positions of their own",
        ),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "a partial_rotary_factor of 0.5 is not 1"),
        ({"partial_rotary_factor": 0.25}, "a partial_rotary_factor of 0.25 is not 1"),
        ({"is_causal": False}, "attention in both directions (is_causal false) is not supported"),
        ({"rope_scaling": [1]}, "rope_scaling is [1], not an object"),
        ({"rope_scaling": {"type": "linear"}}, "factor is None, not a positive number"),
        (
            {"use_sliding_window": True, "sliding_window": 0, "max_window_layers": 1},
            "sliding_window is 0, not a whole number from 1 to 2147483647",
        ),
        ({"use_sliding_window": True, "max_window_layers": "1"}, "max_window_layers is '1', not a whole number"),
    ],
)
def test_a_config_that_cannot_be_converted(
    changes: dict[str, Any], problem: str, checkpoint: Checkpoints, refusal: Refusal
) -> None:
    made = checkpoint()
    made.edit("config.json", lambda config: config.update(changes))
    assert refusal(made.path) == f"config.json: {problem}"


def test_missing_tensors_are_named(checkpoint: Checkpoints, refusal: Refusal) -> None:
    made = checkpoint(layers=3)
    made.edit("config.json", lambda config: config.update(num_hidden_layers=4))
    names = ", ".join(f"model.layers.3.{part}" for part in ("input_layernorm.weight", "self_attn.q_proj.weight"))
    assert refusal(made.path) == f"tiny: lacks {names}, model.layers.3.self_attn.q_proj.bias and 9 more"


def test_an_untied_model_without_its_output_matrix(checkpoint: Checkpoints, refusal: Refusal) -> None:
    made = checkpoint()
    made.edit("config.json", lambda config: config.update(tie_word_embeddings=False))
    assert refusal(made.path) == "tiny: lacks lm_head.weight"


def test_tensors_of_something_else_are_named(checkpoint: Checkpoints, refusal: Refusal) -> None:
    made = checkpoint(layers=3)
    made.edit("config.json", lambda config: config.update(num_hidden_layers=2))
    assert refusal(made.path).startswith("tiny: holds what no Qwen2ForCausalLM has: model.layers.2.")


def test_a_tensor_of_another_shape(checkpoint: Checkpoints, refusal: Refusal) -> None:
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
    change: Callable[[dict[str, Any]], Any], problem: str, checkpoint: Checkpoints, refusal: Refusal
) -> None:
    made = checkpoint()
    made.edit("tokenizer.json", change)
    assert refusal(made.path) == f"tokenizer.json: {problem}"


def test_a_token_that_is_no_unicode(checkpoint: Checkpoints, refusal: Refusal) -> None:
    made = checkpoint()
    made.edit("tokenizer.json", lambda content: content["model"]["vocab"].update({"\ud800": 270}))
    assert refusal(made.path).startswith("tiny: its tokenizer holds text that is no Unicode")


@pytest.mark.parametrize(
    ("name", "message"),
    [("q4km", "unknown type 'q4km'; did you mean 'Q4_K_M'?"), ("INT4", "unknown type 'INT4'"), ("", "unknown type ''")],
)
def test_an_unknown_type_gets_the_nearest_name(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption) as caught:
        plan_conversion(tmp_path, name)
    assert caught.value.message == message
    assert str(caught.value.hint) == f"the types are {', '.join(RECIPES)}"


@pytest.mark.parametrize("name", ["q4_k_m", "Q4-K-M", "Q4_K_M"])
def test_type_names_are_known_in_any_case(name: str, checkpoint: Checkpoints) -> None:
    assert plan_conversion(checkpoint().path, name).content.label == "Q4_K_M"
