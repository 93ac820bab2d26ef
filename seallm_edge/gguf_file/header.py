"""`Header`: metadata and tensor table of a GGUF model, in one file or split over several."""

from __future__ import annotations

import mmap
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ModelFileError
from .dimensions import OUTPUT, Dimensions
from .parse import Array, Place, Tensor, Value, strings, strings_at
from .types import FILE_TYPES, totals

_Default = TypeVar("_Default", int, None)


@dataclass(frozen=True)
class Header:
    """Header of a GGUF model. Sizes in bytes, offsets from the start of the file.

    A split model has several `parts`, each with its size: `tensors` are those of all parts in order, and everything
    else is the first part's.
    """

    parts: tuple[Path, ...]
    sizes: tuple[int, ...]
    version: int
    metadata: Mapping[str, Value]
    places: Mapping[str, Place]
    tensors: tuple[Tensor, ...]
    data_offset: int

    @property
    def path(self) -> Path:
        """Path of the file, or of the first part."""
        return self.parts[0]

    @property
    def file_size(self) -> int:
        """Bytes of all files."""
        return sum(self.sizes)

    @property
    def architecture(self) -> str:
        """Architecture by llama.cpp's name, such as "qwen2"; "" where the file names none."""
        return self._text("general.architecture")

    @property
    def name(self) -> str:
        """Model name in the metadata, else the file's name."""
        return self._text("general.name") or self.path.stem

    @property
    def n_params(self) -> int:
        """Number of parameters: elements of all tensors."""
        return sum(tensor.n_elements for tensor in self.tensors)

    @property
    def tensor_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.n_bytes for tensor in self.tensors)

    @property
    def file_type_name(self) -> str:
        """Quantization type, such as "Q4_K_M"; else the tensor type of most bytes."""
        named = FILE_TYPES.get(self._number("general.file_type", -1))
        largest = max(self.types().items(), key=lambda item: item[1][1], default=("unknown", (0, 0)))
        return named or largest[0]

    @cached_property
    def dimensions(self) -> Dimensions:
        """Dimensions stated in the metadata; 0 for those that it lacks, or states layer by layer.

        Their `n_params` is that of a dense decoder; the header's own counts the tensors in the file.
        """
        names = {tensor.name for tensor in self.tensors}
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        n_head = self._own_number("attention.head_count", 0)
        return Dimensions(
            n_layer=self._own_number("block_count", 0),
            n_embd=self._own_number("embedding_length", 0),
            n_head=n_head,
            n_head_kv=self._own_number("attention.head_count_kv", n_head),
            n_ff=self._own_number("feed_forward_length", 0),
            n_vocab=tokens.count if isinstance(tokens, Array) else 0,
            tied=OUTPUT not in names,
            qkv_bias="blk.0.attn_q.bias" in names,
            key_length=self._own_number("attention.key_length", None),
            value_length=self._own_number("attention.value_length", None),
        )

    @property
    def context_length(self) -> int:
        """Context length in training, tokens."""
        return self._own_number("context_length", 0)

    @property
    def has_chat_template(self) -> bool:
        """Whether the file has a chat template that is not blank."""
        return bool(self.chat_template)

    @property
    def chat_template(self) -> str:
        """Chat template of the file; "" where it has none, or a blank one."""
        template = self._text("tokenizer.chat_template")
        return template if template.strip() else ""

    @property
    def n_splits(self) -> int:
        """Number of files of the model."""
        return max(self._number("split.count", 1), 1)

    def types(self) -> dict[str, tuple[int, int]]:
        """{tensor type: (number of tensors, their bytes)}, most bytes first."""
        return totals((tensor.type_name, tensor.n_bytes) for tensor in self.tensors)

    def array(self, key: str) -> Any:
        """Items of an array, read from the file: a list of str, or a numpy array of numbers.

        Raises KeyError where `key` is no array, ModelFileError where the file has changed.
        """
        array = self.metadata[key]
        if not isinstance(array, Array):
            raise KeyError(key)
        with self._opened() as data:
            if array.item_type == "string":
                return [item.decode(errors="replace") for item in strings(data, array)]
            import numpy as np

            dtype = np.dtype(array.item_type).newbyteorder("<")
            return np.frombuffer(data[array.offset : array.offset + array.count * dtype.itemsize], dtype)

    def texts(self, key: str, wanted: Collection[int]) -> dict[int, str]:
        """Items of a string array by index, read from the file; indices beyond its end are left out.

        Raises KeyError where `key` is no such array, ModelFileError where the file has changed.
        """
        array = self.metadata[key]
        if not isinstance(array, Array) or array.item_type != "string":
            raise KeyError(key)
        with self._opened() as data:
            found = strings_at(data, array, wanted)
        return {number: item.decode(errors="replace") for number, item in found.items()}

    def encoded(self) -> dict[str, bytes]:
        """Metadata values as encoded in the file, each after its value type, in file order.

        Raises ModelFileError where the file has changed.
        """
        with self._opened() as data:
            return {key: data[place.start : place.end] for key, place in self.places.items()}

    @contextmanager
    def _opened(self) -> Iterator[mmap.mmap]:
        with self.path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != self.sizes[0]:
                raise ModelFileError(self.path, "has changed since its header was read")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield data

    def _own_number(self, key: str, default: _Default) -> int | _Default:
        return self._number(f"{self.architecture}.{key}", default)

    def _number(self, key: str, default: _Default) -> int | _Default:
        value = self.metadata.get(key)
        return value if isinstance(value, int) else default

    def _text(self, key: str) -> str:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""
