"""Tiny GGUFs for llama.cpp's quantizer."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from seallm_edge.gguf_file import encode
from seallm_edge.gguf_file.types import TENSOR_TYPES

LLAMA = {
    "general.architecture": encode.text("llama"),
    "llama.context_length": encode.u32(64),
    "llama.embedding_length": encode.u32(256),
    "llama.block_count": encode.u32(8),
    "llama.attention.head_count": encode.u32(4),
    "llama.attention.layer_norm_rms_epsilon": encode.f32(1e-5),
}


@pytest.fixture
def write_gguf(tmp_path: Path) -> Callable[..., Path]:
    """Writes a GGUF of tensors (type name, shape rows first, bytes); llama's metadata unless some is changed."""

    def write(
        tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]],
        change: Mapping[str, bytes] | None = None,
        name: str = "tiny.gguf",
    ) -> Path:
        entries, body = [], b""
        for tensor, (kind, shape, data) in tensors.items():
            assert len(data) == int(np.prod(shape[:-1])) * TENSOR_TYPES[kind].row_bytes(shape[-1])
            entries.append((tensor, shape, TENSOR_TYPES[kind].id, len(body)))
            body += data + bytes(-len(data) % 32)
        (tmp_path / name).write_bytes(encode.header({**LLAMA, **(change or {})}, entries) + body)
        return tmp_path / name

    return write
