"""GGUF headers, read and checked in Python before native code opens the file.

`read_header` is for models: llama.cpp can open a file that passes it without ending the process. The others are for
GGUFs that only Python reads. Weights are not read, so that wrong values in them are not noticed.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path

from ..errors import ModelFileError
from ..hints import Command, Hint
from .checks import check
from .header import Header
from .parse import Walker
from .splits import joined
from .types import ALIGNMENT


def read_header(path: Path | str) -> Header:
    """Read the header of a model, and check that llama.cpp loads it or fails cleanly.

    For a split model, `path` is the first part, and all parts are checked. Allocates less than twice a file's size
    (weights are never read). Raises ModelFileError.
    """
    return _mapped(Path(path), _runnable)


def read_parts(path: Path | str) -> Header:
    """Read the header of any model, whether it can be run or not; `path` is the file, or the first part of a split one.

    Raises ModelFileError.
    """
    return joined(read_structure(path), read_structure)


def read_structure(path: Path | str) -> Header:
    """Read the header of one GGUF file, whether it can be run or not: checks counts, types, names and offsets.

    Raises ModelFileError.
    """
    return _mapped(Path(path), _structure)


def _mapped(path: Path, read: Callable[[Walker], Header]) -> Header:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                raise ModelFileError(path, "the file is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return read(Walker(path, data))
    except FileNotFoundError:
        raise ModelFileError(
            path, "no such file", Hint("see what is here: {models}", models=Command("models"))
        ) from None
    except IsADirectoryError:
        raise ModelFileError(
            path,
            "is a folder, not a GGUF file",
            Hint("make a GGUF of it: {convert}", convert=Command("convert", ("FOLDER",))),
        ) from None
    except OSError as error:
        raise ModelFileError(
            path, f"cannot be read: {error.strerror or error}", "check the file's permissions"
        ) from error


def _runnable(walker: Walker) -> Header:
    header = joined(_structure(walker), read_structure)
    check(walker, header.metadata, header.tensors)
    return header


def _structure(walker: Walker) -> Header:
    version, n_tensors, n_keys = walker.preamble()
    metadata = walker.metadata(n_keys)
    alignment = metadata.get("general.alignment", ALIGNMENT)
    if not isinstance(alignment, int) or alignment < ALIGNMENT or alignment & (alignment - 1):
        walker.fail(f"its alignment is {alignment!r}, not a power of two from {ALIGNMENT} up")
    tensors, start = walker.tensors(n_tensors, alignment)
    return Header((walker.path,), (len(walker.data),), version, metadata, walker.places, tensors, start)
