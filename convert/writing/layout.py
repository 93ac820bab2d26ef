"""`Layout`: a GGUF known to the byte before any weight is read: its contents, its files, and each tensor's offset.

Knows nothing of checkpoints: a `GgufSpec` may come from a checkpoint and a recipe, or from another GGUF.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from seallm_edge.errors import InvalidOption
from seallm_edge.files.sizes import readable
from seallm_edge.gguf_file import Dimensions, encode, splits
from seallm_edge.gguf_file.types import TensorType, padded, totals

from ..sources.shards import SourceTensor

if TYPE_CHECKING:
    from seallm_edge.native.quantizer import Floats

_MAX_PARTS = 9_999


@dataclass(frozen=True)
class TensorSpec:
    """Tensor of the GGUF: name, type, and the source of its weights."""

    name: str
    type: TensorType
    source: SourceTensor

    @property
    def n_bytes(self) -> int:
        """Bytes in the GGUF, without padding."""
        return self.source.n_rows * self.type.row_bytes(self.source.n_per_row)

    def columns(self, importance: Mapping[str, Floats], row: int) -> Floats | None:
        """Importance of each column in the expert that holds this row; None where it is unknown."""
        values = importance.get(self.name)
        if values is None or len(self.source.shape) < 2:
            return None
        n_columns = self.source.n_per_row
        expert = row // self.source.shape[-2]
        return values[expert * n_columns : (expert + 1) * n_columns]


@dataclass(frozen=True)
class GgufSpec:
    """Contents of a GGUF: `metadata` encoded, `tensors` in order, `importance` by tensor name.

    `name` is the model's, `label` the recipe's; an importance has a number for each column of each expert;
    `dimensions` are for memory estimates, where known; `notes` are sentences for the user.
    """

    name: str
    label: str
    metadata: Mapping[str, bytes]
    tensors: tuple[TensorSpec, ...]
    importance: Mapping[str, Floats] = field(default_factory=dict)
    dimensions: Dimensions | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_parameters(self) -> int:
        """Number of weights in all tensors."""
        return sum(prod(tensor.source.shape) for tensor in self.tensors)

    @property
    def tensor_bytes(self) -> int:
        """Bytes of all tensors in the GGUF."""
        return sum(tensor.n_bytes for tensor in self.tensors)

    @property
    def bits_per_weight(self) -> float:
        """Bits of tensor data for each weight."""
        return 8 * self.tensor_bytes / max(self.n_parameters, 1)

    def types(self) -> dict[str, tuple[int, int]]:
        """{tensor type: (number of tensors, their bytes)}, most bytes first."""
        return totals((tensor.type.name, tensor.n_bytes) for tensor in self.tensors)


@dataclass(frozen=True)
class TensorLocation:
    """Location of a tensor: the number of the file, and the byte offset in it."""

    part: int
    offset: int


@dataclass(frozen=True)
class PartFile:
    """One file of the GGUF: the bytes before its tensors, and its size in bytes."""

    header: bytes
    size: int


@dataclass(frozen=True)
class Layout:
    """Layout of `content`: `locations[i]` is the location of `content.tensors[i]` in `parts`.

    A split layout may have one part.
    """

    content: GgufSpec
    parts: tuple[PartFile, ...]
    locations: tuple[TensorLocation, ...]
    is_split: bool

    @property
    def file_size(self) -> int:
        """Bytes of all files together."""
        return sum(part.size for part in self.parts)

    def digest(self) -> str:
        """The sha256 of everything that determines the written bytes, except the weights."""
        found = hashlib.sha256()
        for part in self.parts:
            found.update(part.header)
        for tensor in self.content.tensors:
            found.update(f"{tensor.name}\0{tensor.source.name}\0{tensor.source.dtype}\0".encode())
        for name, values in sorted(self.content.importance.items()):
            found.update(name.encode() + b"\0" + values.tobytes())
        return found.hexdigest()


def lay_out(content: GgufSpec, part_bytes: int | None = None) -> Layout:
    """Layout as one file, or as llama.cpp's split files with at most `part_bytes` of tensors in each.

    Headers are not counted, as in llama.cpp's own tool. Raises InvalidOption for a tensor larger than `part_bytes`.
    """
    groups = list(_grouped(content, part_bytes))
    if len(groups) > _MAX_PARTS:
        raise InvalidOption(
            f"that would be {len(groups):,} files", f"at most {_MAX_PARTS:,} can be: split into larger ones"
        )
    parts, locations = [], []
    for number, group in enumerate(groups):
        offsets = _offsets(group)
        entries = [(t.name, t.source.shape, t.type.id, offset) for t, offset in zip(group, offsets, strict=False)]
        metadata = content.metadata if part_bytes is None else _part_metadata(content, number, len(groups))
        header = encode.header(metadata, entries)
        parts.append(PartFile(header, len(header) + offsets[-1]))
        locations += [TensorLocation(number, len(header) + offset) for offset in offsets[:-1]]
    return Layout(content, tuple(parts), tuple(locations), part_bytes is not None)


def _grouped(content: GgufSpec, part_bytes: int | None) -> Iterator[list[TensorSpec]]:
    if part_bytes is None:
        yield list(content.tensors)
        return
    group: list[TensorSpec] = []
    size = 0
    for tensor in content.tensors:
        n_bytes = padded(tensor.n_bytes)
        if n_bytes > part_bytes:
            problem = f"{tensor.name} alone takes {readable(n_bytes)}, more than a file of {readable(part_bytes)} holds"
            raise InvalidOption(problem, f"split into files of {readable(n_bytes)} or more")
        if size + n_bytes > part_bytes:
            yield group
            group, size = [], 0
        group.append(tensor)
        size += n_bytes
    yield group


def _offsets(tensors: list[TensorSpec]) -> list[int]:
    """Offset of each tensor behind the header, and the end of the file."""
    offsets = [0]
    for tensor in tensors:
        offsets.append(padded(offsets[-1] + tensor.n_bytes))
    return offsets


def _part_metadata(content: GgufSpec, number: int, count: int) -> dict[str, bytes]:
    """Metadata of one part; only the first has the model's. ref: llama.cpp tools/gguf-split"""
    return {
        **(content.metadata if number == 0 else {}),
        splits.NUMBER: encode.u16(number),
        splits.COUNT: encode.u16(count),
        splits.TENSOR_COUNT: encode.i32(len(content.tensors)),
    }
