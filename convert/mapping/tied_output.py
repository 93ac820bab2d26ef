"""Output matrix of a checkpoint that stores an lm_head although config.json ties it to the embedding.

A merge or a fine-tune may save `tie_word_embeddings: true` beside an lm_head trained on its own. transformers 5 keeps
both where they differ, llama.cpp's converter writes a stored one; so does this one, unless both have the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from seallm_edge.gguf_file.dimensions import EMBEDDING, OUTPUT

from ..sources.checkpoint import Checkpoint
from ..sources.shards import SourceTensor
from .architectures import Architecture

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Output:
    """Whether the GGUF's output matrix is the embedding (`tied`), and `notes` for its user."""

    tied: bool
    notes: tuple[str, ...] = ()


def output_of(checkpoint: Checkpoint, architecture: Architecture, tied: bool) -> Output:
    """Output matrix for the GGUF, where config.json says `tied`. Compares the two matrices of a folder in 1 MiB chunks.

    A hub's shards are streamed once, so a stored matrix is kept without comparison. Raises CheckpointError and
    ConversionError where a shard cannot be read.
    """
    head_name, embedding_name = architecture.sources[OUTPUT], architecture.sources[EMBEDDING]
    head, embedding = checkpoint.tensors.get(head_name), checkpoint.tensors.get(embedding_name)
    if not tied or head is None or embedding is None:
        return Output(tied)
    stored = f"config.json ties {head_name} to {embedding_name}, but the checkpoint stores one"
    if head.is_remote or embedding.is_remote:
        return Output(False, (f"{stored}: kept as {OUTPUT}, not compared, since a hub's weights are read once",))
    if _is_same(head, embedding):
        return Output(True)
    return Output(False, (f"{stored} that differs: kept as {OUTPUT}",))


def _is_same(one: SourceTensor, other: SourceTensor) -> bool:
    """Whether two tensors have the same type, shape and bytes; reading stops at the first chunk that differs."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    try:
        return all(_chunk(one, start) == _chunk(other, start) for start in range(0, one.n_bytes, _CHUNK_BYTES))
    finally:
        one.shard.close()
        other.shard.close()


def _chunk(tensor: SourceTensor, start: int) -> bytearray:
    chunk = bytearray(min(_CHUNK_BYTES, tensor.n_bytes - start))
    tensor.shard.read(tensor.offset + start, memoryview(chunk))
    return chunk
