"""A GGUF writer for tests, which also writes invalid files."""

import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.gguf_file import Dimensions
from seallm_edge.gguf_file.types import ARRAY, NUMBERS, STRING, TENSOR_TYPES_BY_ID

KINDS = {name: kind for kind, (name, _) in NUMBERS.items()} | {"string": STRING, "array": ARRAY}
TINY = Dimensions(n_layer=2, n_embd=64, n_head=4, n_head_kv=2, n_ff=128, n_vocab=300, tied=True, qkv_bias=True)


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def value(kind: str, content: Any) -> bytes:
    """A typed value; `kind` "string[]" is an array of strings."""
    if kind.endswith("[]"):
        item = kind[:-2]
        head = struct.pack("<IIQ", ARRAY, KINDS[item], len(content))
        return head + b"".join(bare(item, entry) for entry in content)
    return struct.pack("<I", KINDS[kind]) + bare(kind, content)


def bare(kind: str, content: Any) -> bytes:
    return text(content) if kind == "string" else struct.pack("<" + NUMBERS[KINDS[kind]][1], content)


def tokens(count: int) -> list[str]:
    return ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "t", "1", "2", *(f"t{i}" for i in range(count - 6))]


def qwen2_metadata(shape: Dimensions) -> dict[str, tuple[str, Any]]:
    return {
        "general.architecture": ("string", "qwen2"),
        "general.name": ("string", "Tiny Test"),
        "qwen2.block_count": ("uint32", shape.n_layer),
        "qwen2.context_length": ("uint32", 4096),
        "qwen2.embedding_length": ("uint32", shape.n_embd),
        "qwen2.feed_forward_length": ("uint32", shape.n_ff),
        "qwen2.attention.head_count": ("uint32", shape.n_head),
        "qwen2.attention.head_count_kv": ("uint32", shape.n_head_kv),
        "qwen2.attention.layer_norm_rms_epsilon": ("float32", 1e-6),
        "tokenizer.ggml.model": ("string", "gpt2"),
        "tokenizer.ggml.pre": ("string", "qwen2"),
        "tokenizer.ggml.tokens": ("string[]", tokens(shape.n_vocab)),
        "tokenizer.ggml.token_type": ("int32[]", [3] * 3 + [1] * (shape.n_vocab - 3)),
        "tokenizer.ggml.merges": ("string[]", ["t 1", "t 2"]),
        "tokenizer.ggml.eos_token_id": ("uint32", 2),
    }


def qwen2_tensors(shape: Dimensions, kind: int = 1) -> list[tuple[str, tuple[int, ...], int]]:
    """(name, shape, ggml type) of every tensor; matrices of type `kind`, vectors F32."""
    e, kv, f = shape.n_embd, shape.n_head_kv * shape.head_dim, shape.n_ff
    found: list[tuple[str, tuple[int, ...], int]] = [("token_embd.weight", (e, shape.n_vocab), kind)]
    for layer in range(shape.n_layer):
        sizes = {"attn_q": e, "attn_k": kv, "attn_v": kv, "attn_output": e}
        found += [(f"blk.{layer}.{name}.weight", (e, rows), kind) for name, rows in sizes.items()]
        found += [(f"blk.{layer}.{name}.bias", (sizes[name],), 0) for name in ("attn_q", "attn_k", "attn_v")]
        found += [(f"blk.{layer}.{name}.weight", (e, f), kind) for name in ("ffn_gate", "ffn_up")]
        found += [(f"blk.{layer}.ffn_down.weight", (f, e), kind)]
        found += [(f"blk.{layer}.{name}.weight", (e,), 0) for name in ("attn_norm", "ffn_norm")]
    return [*found, ("output_norm.weight", (e,), 0)]


def gguf_bytes(
    metadata: Mapping[str, tuple[str, Any]],
    tensors: Iterable[tuple[str, tuple[int, ...], int]] = (),
    *,
    magic: bytes = b"GGUF",
    version: int = 3,
    alignment: int = 32,
) -> tuple[bytes, int]:
    """(the header, how long the whole file is)."""
    tensors = list(tensors)
    out = magic + struct.pack("<IQQ", version, len(tensors), len(metadata))
    out += b"".join(text(key) + value(*typed) for key, typed in metadata.items())
    offset = 0
    for name, shape, kind in tensors:
        out += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        type_ = TENSOR_TYPES_BY_ID.get(kind, TENSOR_TYPES_BY_ID[0])
        total = type_.n_bytes
        for size in shape:
            total *= size
        offset += -(-(total // type_.block) // alignment) * alignment
    start = -(-len(out) // alignment) * alignment
    return out, start + offset if tensors else len(out)


def write_gguf_file(
    path: Path,
    *,
    shape: Dimensions = TINY,
    kind: int = 1,
    change: Mapping[str, tuple[str, Any] | None] | None = None,
    tensors: Iterable[tuple[str, tuple[int, ...], int]] | None = None,
    **options: Any,
) -> Path:
    """Write a GGUF of zero weights (a hole in the file): tiny and sound unless told otherwise."""
    metadata = {**qwen2_metadata(shape), **(change or {})}
    kept = {key: typed for key, typed in metadata.items() if typed is not None}
    listed = qwen2_tensors(shape, kind) if tensors is None else tensors
    header, size = gguf_bytes(kept, listed, **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(size)
    return path


@pytest.fixture
def write_gguf(tmp_path: Path) -> Callable[..., Path]:
    """`write_gguf_file` in the test's folder, by name."""

    def write(name: str = "tiny.gguf", **options: Any) -> Path:
        return write_gguf_file(tmp_path / name, **options)

    return write
