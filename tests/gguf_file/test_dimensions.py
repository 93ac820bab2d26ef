"""Dimensions of models, and the table of tensors that follows from them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from seallm_edge.gguf_file import Dimensions, read_header, read_parts
from support.gguf_files import TINY, qwen2_tensors

UNEVEN = {  # keys and values of different widths, as DeepSeek2's
    "general.architecture": ("string", "deepseek2"),
    "deepseek2.block_count": ("uint32", 3),
    "deepseek2.embedding_length": ("uint32", 64),
    "deepseek2.attention.head_count": ("uint32", 4),
    "deepseek2.attention.key_length": ("uint32", 24),
    "deepseek2.attention.value_length": ("uint32", 8),
}


@pytest.mark.parametrize("shape", [TINY, replace(TINY, n_layer=3, n_head=8, n_head_kv=1, n_vocab=320)])
def test_header_states_the_dimensions_that_the_file_was_made_of(
    write_gguf: Callable[..., Path], shape: Dimensions
) -> None:
    assert read_header(write_gguf(shape=shape)).dimensions == shape


def test_tensors_tell_whether_the_output_is_tied_and_whether_there_are_biases(write_gguf: Callable[..., Path]) -> None:
    tensors = [("token_embd.weight", (64, 300), 0), ("output.weight", (64, 300), 0)]
    assert read_header(write_gguf(tensors=tensors)).dimensions == replace(TINY, tied=False, qkv_bias=False)


def test_stated_widths_of_keys_and_values_come_before_the_width_shared_among_the_heads(
    write_gguf: Callable[..., Path],
) -> None:
    dimensions = read_parts(write_gguf(change=UNEVEN)).dimensions

    assert (dimensions.n_head_kv, dimensions.head_dim, dimensions.value_dim) == (4, 24, 8)
    assert (dimensions.keys_per_token, dimensions.values_per_token) == (3 * 4 * 24, 3 * 4 * 8)
    assert dimensions.kv_bytes_per_token == 3 * 4 * (24 + 8) * 2


def test_values_are_as_wide_as_the_keys_where_only_these_are_stated() -> None:
    assert replace(TINY, key_length=24).value_dim == 24


def test_file_that_is_no_model_has_no_dimensions(write_gguf: Callable[..., Path]) -> None:
    change = {"general.architecture": None, "tokenizer.ggml.tokens": None}
    header = read_parts(write_gguf(change=change, tensors=[]))

    assert header.architecture == ""
    assert header.dimensions == Dimensions(0, 0, 0, 0, 0, 0, tied=True, qkv_bias=False)
    assert header.dimensions.kv_bytes_per_token == header.dimensions.head_dim == header.dimensions.n_gqa == 0


def test_tensors_are_those_of_a_qwen2() -> None:
    rows_first = {name: shape[::-1] for name, shape, _ in qwen2_tensors(TINY)}
    assert TINY.tensor_shapes() == rows_first


def test_model_that_is_not_tied_has_an_output_matrix() -> None:
    assert replace(TINY, tied=False).tensor_shapes() == TINY.tensor_shapes() | {"output.weight": (300, 64)}


def test_model_without_biases_has_only_weights() -> None:
    names = TINY.tensor_shapes().keys() - replace(TINY, qkv_bias=False).tensor_shapes().keys()
    assert names == {f"blk.{layer}.attn_{part}.bias" for layer in (0, 1) for part in "qkv"}


def test_heads_of_another_width_widen_attention_alone() -> None:
    shapes = replace(TINY, key_length=24, value_length=8).tensor_shapes()
    changed = {name: shape for name, shape in shapes.items() if shape != TINY.tensor_shapes()[name] and "blk.1" in name}
    assert changed == {
        "blk.1.attn_q.weight": (96, 64),
        "blk.1.attn_q.bias": (96,),
        "blk.1.attn_k.weight": (48, 64),
        "blk.1.attn_k.bias": (48,),
        "blk.1.attn_v.weight": (16, 64),
        "blk.1.attn_v.bias": (16,),
        "blk.1.attn_output.weight": (64, 32),
    }
