"""Fingerprint of a model file, independent of its name and path: a hash of the header and of samples of the weights.

Metadata and tensor list are hashed whole, and 4 KiB from the middle of each tensor, since a fine-tune may differ from
its origin in the attention tensors only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import ModelFileError
from .header import Header

# Limits on the bytes read, far above any real model (6 MB, 339 tensors for Qwen2 7B).
_MAX_HEADER_BYTES = 32 << 20
_MAX_SAMPLES = 1_024
_SAMPLE_BYTES = 4_096
_DIGEST_BYTES = 16


def fingerprint(header: Header) -> str:
    """Fingerprint over all `header.parts`: 32 hexadecimal digits.

    Reads the header and 4 KiB of each tensor, at most 36 MiB of a model; other bytes do not count. Raises
    ModelFileError if a file cannot be read or has changed since its header was read.
    """
    digest = hashlib.sha256()
    for part, path in enumerate(header.parts):
        try:
            for data in _hashed_parts(header, part, path):
                digest.update(data)
        except OSError as error:
            problem = f"cannot be read: {error.strerror or error}"
            raise ModelFileError(path, problem, "check the file's permissions") from error
    return digest.hexdigest()[: 2 * _DIGEST_BYTES]


def _hashed_parts(header: Header, part: int, path: Path) -> Iterator[bytes]:
    """Hashed byte ranges of this part, each with its length before it."""
    ranges = list(_ranges(header, part))
    with path.open("rb", buffering=_SAMPLE_BYTES) as file:
        _announce(file.fileno(), ranges)
        for offset, size in ranges:
            file.seek(offset)
            data = file.read(size)
            if len(data) < size:
                raise ModelFileError(path, "has changed since its header was read")
            yield size.to_bytes(8, "little") + data


def _announce(descriptor: int, ranges: Iterable[tuple[int, int]]) -> None:
    """Start read-ahead of all ranges, which takes a quarter of the time where nothing is cached."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            for offset, size in ranges:
                os.posix_fadvise(descriptor, offset, size, os.POSIX_FADV_WILLNEED)


def _ranges(header: Header, part: int) -> Iterator[tuple[int, int]]:
    """(offset, bytes) of the header and of the samples."""
    end = min((t.offset for t in header.tensors if t.part == part), default=header.sizes[part])
    yield 0, min(end, _MAX_HEADER_BYTES // len(header.parts))
    stride = -(-len(header.tensors) // _MAX_SAMPLES) or 1
    for tensor in header.tensors[::stride]:
        if tensor.part == part:
            size = min(tensor.n_bytes, _SAMPLE_BYTES)
            yield tensor.offset + (tensor.n_bytes - size) // 2, size
