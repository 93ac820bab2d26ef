"""A GGUF as the source of another: its tensors with their offsets, its metadata byte for byte.

Takes any well-formed GGUF, whether this runtime can run it or not. Keys and tensors get the names and order that
llama.cpp's quantizer gives them, so that the output has the bytes that it would write.
ref: llama.cpp src/llama-quant.cpp `llama_model_quantize_impl`, src/llama-model-loader.h `weight_name_comparer`
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from seallm_edge.errors import ConversionError
from seallm_edge.gguf_file import SPLIT_KEYS, Header, Place, encode, read_parts
from seallm_edge.gguf_file.types import ALIGNMENT, BOOL, QUANTIZATION_VERSION, STRING

from .shards import LocalShard, SourceTensor

_ALIGNMENT_KEY, _FILE_TYPE_KEY = "general.alignment", "general.file_type"
_QUANTIZATION_VERSION_KEY = "general.quantization_version"
_LAYER = re.compile(r"blk\.\s*([+-]?\d+)", re.ASCII)
_U32, _U64, _ARRAY_HEAD = struct.Struct("<I"), struct.Struct("<Q"), struct.Struct("<IIQ")


@dataclass(frozen=True)
class GgufSource:
    """GGUF in one or more files: its header, encoded metadata, and all `tensors` in their order in the `shards`.

    A tensor's shape has no outer dimensions of 1: ggml does not count them.
    """

    shards: tuple[LocalShard, ...]
    header: Header
    metadata_bytes: Mapping[str, bytes]
    tensors: tuple[SourceTensor, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Paths of the parts, in order."""
        return self.header.parts


def open_gguf(path: Path | str) -> GgufSource:
    """Open the GGUF at `path`, or the split GGUF with this first part. Reads headers only.

    Raises ModelFileError that names the file at fault.
    """
    header = read_parts(path)
    shards = tuple(LocalShard(part) for part in header.parts)
    tensors = tuple(
        SourceTensor(t.name, t.type_name, _rows_first(t.shape), shards[t.part], t.offset, t.n_bytes)
        for t in header.tensors
    )
    return GgufSource(shards, header, header.encoded(), tensors)


def quantized_metadata(source: GgufSource, file_type: int, extra: Mapping[str, bytes]) -> dict[str, bytes]:
    """Metadata that llama.cpp writes when it quantizes `source`, encoded, in its order; `extra` keys come last.

    Setting a key moves it to the end. Raises ConversionError for an alignment other than 32 bytes: llama.cpp would
    copy the key, but align the tensors to 32.
    """
    alignment = source.header.metadata.get(_ALIGNMENT_KEY, ALIGNMENT)
    if alignment != ALIGNMENT:
        raise ConversionError(
            f"{source.files[0].name} is aligned to {alignment} bytes, and only {ALIGNMENT} can be written",
            f"convert the model again, without {_ALIGNMENT_KEY}",
        )
    places = source.header.places
    kept = {key: _as_written(value, places[key]) for key, value in source.metadata_bytes.items()}
    replaced = {
        _QUANTIZATION_VERSION_KEY: encode.u32(QUANTIZATION_VERSION),
        _FILE_TYPE_KEY: encode.u32(file_type),
        **extra,
    }
    for key in (*replaced, *SPLIT_KEYS):
        kept.pop(key, None)
    return kept | replaced


def quantized_order(names: Iterable[str]) -> list[str]:
    """Tensor names in the order in which llama.cpp writes them: those outside layers, then by layer, then by bytes."""
    return sorted(names, key=lambda name: (_layer(name), name.encode()))


def _layer(name: str) -> int:
    found = _LAYER.match(name)
    return int(found[1]) if found else -1


def _rows_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape with the rows first, without the outer dimensions of 1, which ggml does not count."""
    n_dims = max((i for i, size in enumerate(shape, 1) if size > 1), default=1)
    return shape[n_dims - 1 :: -1]


def _as_written(value: bytes, place: Place) -> bytes:
    """Metadata value as llama.cpp writes it after reading it: strings end at the first NUL, true is 1."""
    if place.value_type == "bool":
        return encode.flag(value[_U32.size] != 0)
    if place.value_type == "string":
        return value[: _U32.size] + b"".join(_cut_texts(value, _U32.size))
    if place.value_type == "array":
        _, item_type, _ = _ARRAY_HEAD.unpack_from(value)
        head, items = value[: _ARRAY_HEAD.size], value[_ARRAY_HEAD.size :]
        if item_type == BOOL:
            return head + bytes(item != 0 for item in items)
        if item_type == STRING:
            return head + b"".join(_cut_texts(value, _ARRAY_HEAD.size))
    return value


def _cut_texts(data: bytes, pos: int) -> Iterator[bytes]:
    while pos < len(data):
        start = pos + _U64.size
        pos = start + _U64.unpack_from(data, pos)[0]
        text = data[start:pos].partition(b"\0")[0]
        yield _U64.pack(len(text)) + text
