"""First bytes of a ready GGUF, looked at before it is offered: what cannot be run is refused without its weights.

Sees the magic, the counts, and the architecture if its key is among the first ones; all else is checked in the file.
"""

from __future__ import annotations

import contextlib
import mmap
from pathlib import Path

from ...errors import ModelFileError
from ...gguf_file.parse import MAX_KEY_BYTES, Walker
from ...hub import RemoteSource
from ..carrying.candidates import PROJECTORS

_BYTES = 1 << 14
_ARCHITECTURE = "general.architecture"


def check_first_bytes(source: RemoteSource) -> None:
    """Raise ModelFileError for a file that is no GGUF, or is one that goes with a model and is none."""
    n = min(source.size, _BYTES)
    if n == 0:
        raise ModelFileError(Path(source.name), "the file is empty")
    with mmap.mmap(-1, n) as data:
        _read_into(memoryview(data), source, n)
        walker = Walker(Path(source.name), data)
        _, _, n_keys = walker.preamble()
        if _architecture(walker, n_keys) in PROJECTORS:
            walker.fail("is a projection file, which goes with a model, and no model", "name the model's own file")


def _read_into(rest: memoryview, source: RemoteSource, n: int) -> None:
    with rest, contextlib.closing(source.transfer(0, n)) as transfer:
        done = 0
        while done < n:
            with rest[done:] as target:
                done += transfer.readinto(target)


def _architecture(walker: Walker, n_keys: int) -> object:
    """Architecture that the header names; None where its key lies beyond the bytes that are here."""
    with contextlib.suppress(ModelFileError):
        for number in range(n_keys):
            key = walker.text(f"key {number}", MAX_KEY_BYTES)
            value = walker.value(key)
            if key == _ARCHITECTURE:
                return value
    return None
