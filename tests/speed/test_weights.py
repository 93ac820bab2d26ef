"""Bytes of weights that a decode step reads."""

from dataclasses import replace
from pathlib import Path

import pytest

from seallm_edge.gguf_file import read_header
from seallm_edge.speed.weights import bytes_per_token
from support.tiny_model import write_tiny


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    write_tiny(tmp_path / "tiny.gguf")
    return tmp_path / "tiny.gguf"


def test_a_tied_embedding_is_read_whole_as_the_output(tiny: Path) -> None:
    header = read_header(tiny)
    assert header.dimensions.tied
    assert bytes_per_token(header) == header.tensor_bytes


def test_of_an_untied_embedding_one_row_is_read(tiny: Path) -> None:
    header = read_header(tiny)
    (embedding,) = (tensor for tensor in header.tensors if tensor.name == "token_embd.weight")
    untied = replace(header, tensors=(*header.tensors, replace(embedding, name="output.weight")))
    assert bytes_per_token(untied) == header.tensor_bytes


def test_of_a_mixture_of_experts_those_in_use_are_read(tiny: Path) -> None:
    header = read_header(tiny)
    metadata = {**header.metadata, "qwen2.expert_count": 8, "qwen2.expert_used_count": 2}
    tensors = tuple(replace(tensor, name=tensor.name.replace("ffn_up.", "ffn_up_exps.")) for tensor in header.tensors)
    mixed = replace(header, metadata=metadata, tensors=tensors)
    experts = sum(tensor.n_bytes for tensor in tensors if "_exps." in tensor.name)
    assert experts > 0
    assert bytes_per_token(mixed) == header.tensor_bytes - experts * 3 // 4
