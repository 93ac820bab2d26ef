"""Control tokens from a header."""

from collections.abc import Callable
from pathlib import Path

from seallm_edge.gguf_file import SpecialTokens, read_header, special_tokens

Write = Callable[..., Path]


def test_control_and_unknown_tokens_are_special(write_gguf: Write) -> None:
    change = {
        "tokenizer.ggml.token_type": ("int32[]", [3, 1, 3, 1, 2, 4] + [1] * 294),
        "tokenizer.ggml.bos_token_id": ("uint32", 0),
        "tokenizer.ggml.padding_token_id": ("uint32", 0),
        "tokenizer.ggml.unknown_token_id": ("uint32", 300),
    }
    assert special_tokens(read_header(write_gguf(change=change))) == SpecialTokens(
        ("<|endoftext|>", "<|im_end|>", "1"),
        {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
    )


def test_a_file_that_lists_no_types_has_no_control_tokens(write_gguf: Write) -> None:
    header = read_header(write_gguf(change={"tokenizer.ggml.token_type": None}))
    assert special_tokens(header) == SpecialTokens((), {"eos_token": "<|im_end|>"})


def test_the_demo_models_special_tokens(demo_file: Path) -> None:
    found = special_tokens(read_header(demo_file))
    assert found.control[:4] == ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>")
    assert found.named == {
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|im_end|>",
    }
