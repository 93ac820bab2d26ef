"""Split models: llama.cpp's names of the parts, and the checks that the parts belong together.

llama.cpp gets the path of the first part, and finds the others beside it. It reads their keys without a check of the
type: a wrong one ends the process.
ref: llama.cpp src/llama-model-loader.cpp, `llama_split_path`
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ModelFileError
from .header import Header
from .parse import Array, Tensor

NUMBER, COUNT, TENSOR_COUNT = "split.no", "split.count", "split.tensors.count"
SPLIT_KEYS = (NUMBER, COUNT, TENSOR_COUNT)

# All parts that are being written have the longer ending.
_NAME = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.gguf(?:\.partial)?)", re.DOTALL)
_TOGETHER = "put all parts of the model, from one source, in one folder"


@dataclass(frozen=True)
class SplitName:
    """File name of a part: the `model`, the `number` of the part, from 1, and the `count` of parts."""

    model: str
    number: int
    count: int
    ending: str = ".gguf"

    def part(self, number: int) -> str:
        """File name of another part."""
        return f"{self.model}-{number:05}-of-{self.count:05}{self.ending}"


def split_name(path: Path) -> SplitName | None:
    """Parse the file name of a part; None for another name."""
    found = _NAME.fullmatch(path.name)
    return SplitName(found[1], int(found[2]), int(found[3]), found[4]) if found else None


def joined(first: Header, read: Callable[[Path], Header]) -> Header:
    """Join the headers of a split model, whose parts `read` opens; returns `first` for a model in one file.

    Raises ModelFileError that names the part at fault: missing, of another model, or with another part's number.
    """
    count = first.n_splits
    if count == 1:
        return first
    _check_number(first, 0, count)
    parts = [first]
    for number, path in enumerate(_other_paths(first, count), 1):
        if not path.is_file():
            raise ModelFileError(path, f"no such file, and it is part {number + 1} of {count} of the model", _TOGETHER)
        parts.append(read(path))
        _check_number(parts[-1], number, count)
        _check_same_model(first, parts[-1])
    return replace(
        first,
        parts=tuple(part.path for part in parts),
        sizes=tuple(size for part in parts for size in part.sizes),
        tensors=_all_tensors(first, parts),
    )


def _check_number(part: Header, number: int, count: int) -> None:
    """Raise ModelFileError unless the part has this number, and this count if it has one."""
    says, of = part.metadata.get(NUMBER), part.metadata.get(COUNT, count)
    if not isinstance(says, int) or part.places[NUMBER].value_type != "uint16":
        raise ModelFileError(part.path, f"does not say which of {count} parts it is ({NUMBER}, a uint16)", _TOGETHER)
    if number == 0 and says != 0:
        name = split_name(part.path)
        hint = f"name the first part: {name.part(1)}" if name else "name the first part"
        raise ModelFileError(part.path, f"is part {says + 1} of {of} of a model", hint)
    if (says, of) != (number, count):
        problem = f"says it is part {says + 1} of {of}, but stands for part {number + 1} of {count}"
        raise ModelFileError(part.path, problem, _TOGETHER)


def _other_paths(first: Header, count: int) -> list[Path]:
    name = split_name(first.path)
    if name is None or (name.number, name.count) != (1, count):
        wanted = SplitName(name.model if name else first.path.stem, 1, count).part(1)
        problem = f"is the first of {count} parts of a model, but its name does not say so"
        raise ModelFileError(first.path, problem, f"name it {wanted}, and the other parts likewise")
    return [first.path.with_name(name.part(number)) for number in range(2, count + 1)]


def _check_same_model(first: Header, part: Header) -> None:
    for key in part.metadata.keys() & first.metadata.keys() - {NUMBER}:
        values = [header.metadata[key] for header in (part, first)]
        counts = [value.count if isinstance(value, Array) else value for value in values]
        if counts[0] != counts[1]:
            problem = f"is of another model than {first.path.name}: its {key} is {counts[0]!r}, not {counts[1]!r}"
            raise ModelFileError(part.path, problem, _TOGETHER)


def _all_tensors(first: Header, parts: list[Header]) -> tuple[Tensor, ...]:
    found: dict[str, Tensor] = {}
    for number, part in enumerate(parts):
        for tensor in part.tensors:
            if tensor.name in found:
                other = parts[found[tensor.name].part].path.name
                raise ModelFileError(part.path, f"tensor {tensor.name!r} is in {other} too", _TOGETHER)
            found[tensor.name] = replace(tensor, part=number)
    expected = first.metadata.get(TENSOR_COUNT)
    if expected != len(found):
        problem = f"speaks of {expected} tensors ({TENSOR_COUNT}), but its {len(parts)} parts hold {len(found)}"
        raise ModelFileError(first.path, problem, _TOGETHER)
    return tuple(found.values())
