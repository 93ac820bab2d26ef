"""What a conversion will write, known to the byte before it begins: every tensor's type, place and source."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod

from seallm_edge.errors import CheckpointError
from seallm_edge.native.quantizer import TensorType

from . import encoding
from .architectures import MappedTensor, architecture_metadata, architecture_of, map_tensors
from .checkpoint import Checkpoint
from .hyperparameters import Hyperparameters, read_hyperparameters
from .identity import general_metadata, identify
from .recipes import Recipe, tensor_type
from .safetensors_file import SourceTensor
from .tokenizer import read_vocabulary


@dataclass(frozen=True)
class OutputTensor:
    """A tensor of the GGUF: its type, the shape (rows first) and bytes of its `source`, its `offset` in the data."""

    name: str
    type: TensorType
    source: SourceTensor
    offset: int

    @property
    def n_per_row(self) -> int:
        """Weights of a row."""
        return self.source.shape[-1]

    @property
    def n_rows(self) -> int:
        """Rows; a vector is one."""
        return prod(self.source.shape[:-1])

    @property
    def n_bytes(self) -> int:
        """Bytes in the GGUF, without padding."""
        return self.n_rows * self.type.row_bytes(self.n_per_row)


@dataclass(frozen=True)
class Plan:
    """The whole GGUF but for its weights: `header` in bytes, then `tensors`; offsets count from the header's end."""

    name: str
    recipe: Recipe
    header: bytes
    tensors: tuple[OutputTensor, ...]

    @property
    def file_size(self) -> int:
        """Bytes of the finished file."""
        last = self.tensors[-1]
        return len(self.header) + encoding.padded(last.offset + last.n_bytes)

    @property
    def source_bytes(self) -> int:
        """Bytes of weights that will be read."""
        return sum(tensor.source.n_bytes for tensor in self.tensors)

    @property
    def n_parameters(self) -> int:
        """Weights in all tensors."""
        return sum(prod(tensor.source.shape) for tensor in self.tensors)

    @property
    def bits_per_weight(self) -> float:
        """Bits of tensor data for each weight."""
        return 8 * sum(tensor.n_bytes for tensor in self.tensors) / self.n_parameters

    def types(self) -> dict[str, tuple[int, int]]:
        """{tensor type: (how many tensors, their bytes)}, most bytes first."""
        counts, sizes = Counter[str](), Counter[str]()
        for tensor in self.tensors:
            counts[tensor.type.name] += 1
            sizes[tensor.type.name] += tensor.n_bytes
        return {name: (counts[name], n_bytes) for name, n_bytes in sizes.most_common()}


def make_plan(checkpoint: Checkpoint, recipe: Recipe) -> Plan:
    """The plan for this checkpoint in this type. Reads no weights. Raises CheckpointError."""
    architecture = architecture_of(checkpoint)
    sizes = read_hyperparameters(checkpoint)
    tensors = _lay_out(map_tensors(checkpoint, architecture, sizes), recipe, sizes)
    n_parameters = sum(prod(tensor.source.shape) for tensor in tensors)
    identity = identify(checkpoint)
    vocabulary = read_vocabulary(checkpoint, architecture.pre_tokenizer, sizes.n_vocab, identity.chat)
    try:
        metadata = {
            **general_metadata(identity, architecture.gguf_name, recipe, n_parameters),
            **architecture_metadata(architecture, sizes),
            **vocabulary.metadata(architecture.pre_tokenizer, checkpoint.chat_template),
        }
    except UnicodeEncodeError as error:
        problem = f"its tokenizer holds text that is no Unicode: {error.object!r:.40}"
        raise CheckpointError(checkpoint.folder, problem, "take the tokenizer from the original checkpoint") from error
    entries = [(t.name, t.source.shape, t.type.id, t.offset) for t in tensors]
    return Plan(identity.name, recipe, encoding.header(metadata, entries), tensors)


def _lay_out(mapped: list[MappedTensor], recipe: Recipe, sizes: Hyperparameters) -> tuple[OutputTensor, ...]:
    tensors, offset = [], 0
    for item in mapped:
        shape = item.source.shape
        kind = tensor_type(recipe, item.name, item.layer, shape, sizes.n_layer, sizes.tied)
        tensors.append(OutputTensor(item.name, kind, item.source, offset))
        offset = encoding.padded(offset + tensors[-1].n_bytes)
    return tuple(tensors)
