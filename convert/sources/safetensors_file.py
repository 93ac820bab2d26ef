"""The header of a safetensors file, read and checked without the weights behind it.

ref: https://huggingface.co/docs/safetensors (format); the limits are those of its own reader.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from seallm_edge.errors import CheckpointError

from .shards import DOWNLOAD_AGAIN, Shard, SourceTensor

# Bytes of one number, for the types that can be converted.
DTYPE_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
_MAX_HEADER_BYTES = 100_000_000
UNQUANTIZED = "convert the BF16, F16 or F32 original"
_QUANTIZED = {  # suffixes of the tensors beside a quantized weight, by method
    "bitsandbytes": (".absmax", ".quant_map", ".nested_absmax", ".SCB"),
    "GPTQ or AWQ": (".qweight", ".qzeros"),
}


def read_tensors(shard: Shard) -> dict[str, SourceTensor]:
    """Tensors of the file by name, in byte order. Raises CheckpointError, and HubError for a hub."""
    try:
        entries, data_start = _read_header(shard)
    finally:
        shard.close()
    _check_unquantized(shard.path, entries)
    tensors = [_tensor(shard, name, entry, data_start) for name, entry in entries.items() if name != "__metadata__"]
    tensors.sort(key=lambda tensor: (tensor.offset, tensor.n_bytes))
    _check_layout(shard.path, tensors, data_start, shard.size)
    return {tensor.name: tensor for tensor in tensors}


def _read_header(shard: Shard) -> tuple[dict[str, Any], int]:
    head = bytearray(8)
    if shard.size >= len(head):
        shard.read(0, memoryview(head))
    length = int.from_bytes(head, "little")
    if shard.size < len(head) or length > min(_MAX_HEADER_BYTES, shard.size - len(head)):
        problem = f"a header of {length:,} bytes cannot be in a file of {shard.size:,}"
        raise CheckpointError(shard.path, f"not a whole safetensors file: {problem}", DOWNLOAD_AGAIN)
    raw = bytearray(length)
    shard.read(len(head), memoryview(raw))
    return _parse_header(shard.path, bytes(raw)), len(head) + length


def _parse_header(path: PurePath, raw: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise CheckpointError(path, f"the header names {twice!r} twice", DOWNLOAD_AGAIN)
        return found

    try:
        entries = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(path, f"the header is not JSON: {error}", DOWNLOAD_AGAIN) from error
    if not isinstance(entries, dict):
        raise CheckpointError(path, "the header is not a JSON object", DOWNLOAD_AGAIN)
    return entries


def _check_unquantized(path: PurePath, names: Iterable[str]) -> None:
    for name in names:
        for method, endings in _QUANTIZED.items():
            if name.endswith(endings):
                raise CheckpointError(path, f"{name}: the checkpoint is quantized already ({method})", UNQUANTIZED)


def _tensor(shard: Shard, name: str, entry: Any, data_start: int) -> SourceTensor:
    try:
        dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = [*shape, start, end]
    except (TypeError, KeyError, ValueError) as error:
        raise CheckpointError(
            shard.path, f"{name}: its entry lacks dtype, shape or data_offsets", DOWNLOAD_AGAIN
        ) from error
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 2**63 for n in numbers) or end < start:
        raise CheckpointError(shard.path, f"{name}: shape {shape} at {start} to {end} makes no sense", DOWNLOAD_AGAIN)
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        known = ", ".join(DTYPE_BYTES)
        raise CheckpointError(
            shard.path, f"{name}: dtype {dtype!r} is none of {known}", "convert an unquantized checkpoint"
        )
    needed = math.prod(shape) * DTYPE_BYTES[dtype]
    if needed != end - start:
        problem = f"{name}: {dtype} {shape} takes {needed:,} bytes but has {end - start:,}"
        raise CheckpointError(shard.path, problem, DOWNLOAD_AGAIN)
    return SourceTensor(name, dtype, tuple(shape), shard, data_start + start, end - start)


def _check_layout(path: PurePath, tensors: list[SourceTensor], data_start: int, file_size: int) -> None:
    position, before = data_start, "the header"
    for tensor in tensors:
        if tensor.offset < position:
            raise CheckpointError(path, f"the bytes of {tensor.name} overlap those of {before}", DOWNLOAD_AGAIN)
        if tensor.offset > position:
            gap = tensor.offset - position
            raise CheckpointError(
                path, f"{gap:,} bytes between {before} and {tensor.name} are no tensor's", DOWNLOAD_AGAIN
            )
        position, before = tensor.offset + tensor.n_bytes, tensor.name
    if file_size < position:
        problem = f"truncated: {position - file_size:,} of its {position:,} bytes are missing"
        raise CheckpointError(path, problem, DOWNLOAD_AGAIN)
    if file_size > position:
        raise CheckpointError(
            path, f"{file_size - position:,} bytes after its last tensor are no tensor's", DOWNLOAD_AGAIN
        )
