"""Bytes of weights that one decode step reads, from a GGUF's header."""

from __future__ import annotations

from ..gguf_file import Header
from ..gguf_file.dimensions import EMBEDDING

_EXPERTS = "_exps."  # tensors that hold the weights of all experts. ref: llama.cpp src/llama-arch.cpp


def bytes_per_token(header: Header) -> int:
    """Bytes of all tensors that a decode step reads whole.

    Of an embedding it reads one row, unless the embedding is the output matrix too (tied); of a mixture of experts,
    those in use. Repacking keeps sizes.
    """
    used, experts = (
        header.metadata.get(f"{header.architecture}.{name}") for name in ("expert_used_count", "expert_count")
    )
    share = used / experts if isinstance(used, int) and isinstance(experts, int) and experts else 1.0
    total = 0.0
    for tensor in header.tensors:
        if tensor.name == EMBEDDING and not header.dimensions.tied:
            continue
        total += tensor.n_bytes * (share if _EXPERTS in tensor.name else 1.0)
    return round(total)
