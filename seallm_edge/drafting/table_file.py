"""The file of an n-gram table: what is in it, how it is checked, how it is written.

    magic      8 bytes   SEANGRAM
    version    u32       1
    n_meta     u32       bytes of the metadata
    crc32      u32       of all that follows
    reserved   u32       0
    metadata   n_meta    UTF-8 JSON: what `Metadata` has; padded with spaces to a multiple of 4
    buckets    u32 [65537]   where the entries of each upper half of a hash begin
    tokens     u32 [n_tokens]    the ids that entries name
    hashes     u16 [n_entries]   lower halves, rising in a bucket
    predictions u16 [n_entries]  which of `tokens` comes next
    marks      u8  [n_entries]   7 bits of confidence, 1 bit: longer contexts are here too

All numbers are little-endian. A context of n tokens is found by `context_hash` of them, the last one first.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import mmap
import os
import struct
import sys
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DraftTableError
from ..files import atomic

MAGIC, VERSION = b"SEANGRAM", 1
N_BUCKETS = 1 << 16
CONFIDENCES = 128
HAS_LONGER = 1
_HEAD = struct.Struct("<8sIIII")
_MAX_BYTES = 1 << 30
_MAX_META = 1 << 16
MAX_ORDER = 16
FACTOR, TERM, MASK, FOLD = 0x9E3779B1, 0x7F4A7C15, 0xFFFFFFFF, 15  # of `step_hash`


@dataclass(frozen=True)
class Metadata:
    """`vocabulary` is the fingerprint of the tokenizer; `order` the tokens of the longest context; `sources` says what
    the text was and whose, with its licence.
    """

    vocabulary: str
    order: int
    n_tokens: int
    n_entries: int
    sources: str


@dataclass(frozen=True)
class Entries:
    """Parallel arrays, one element an entry: `hashes` u32, `tokens` i64 (ids), `confidences` f64 (0 to 1), and whether
    longer contexts that end alike are there.
    """

    hashes: NDArray[np.uint32]
    tokens: NDArray[np.int64]
    confidences: NDArray[np.float64]
    has_longer: NDArray[np.bool_]


def context_hash(tokens: Sequence[int]) -> int:
    """The hash of a context, whose last token counts first; 32 bits."""
    value = 0
    for token in reversed(tokens):
        value = step_hash(value, token)
    return value


def step_hash(value: int, token: int) -> int:
    """The hash of a context that is one token longer, at its beginning, than that of `value`."""
    value = (value ^ token) * FACTOR + TERM & MASK
    return value ^ value >> FOLD


def write(path: Path, entries: Entries, metadata: dict[str, Any]) -> None:
    """Write a table, whole or not at all. Equal hashes are merged: the first stays. Raises OSError."""
    _, first = np.unique(entries.hashes, return_index=True)  # sorted by hash
    hashes = entries.hashes[first]
    names, predictions = np.unique(entries.tokens[first], return_inverse=True)
    if len(names) > N_BUCKETS:
        raise DraftTableError(
            path, f"{len(names):,} different tokens are predicted, and {N_BUCKETS:,} fit", "give less text"
        )
    buckets = np.searchsorted(hashes >> 16, np.arange(N_BUCKETS + 1)).astype("<u4")
    marks = np.clip(entries.confidences[first] * CONFIDENCES, 0, CONFIDENCES - 1).astype(np.uint8) << 1
    marks |= entries.has_longer[first].astype(np.uint8)
    meta = Metadata(n_tokens=len(names), n_entries=len(hashes), **metadata)
    text = json.dumps(asdict(meta), ensure_ascii=False, sort_keys=True).encode()
    text += b" " * (-len(text) % 4)
    arrays = (buckets, names.astype("<u4"), (hashes & 0xFFFF).astype("<u2"), predictions.astype("<u2"), marks)
    body = text + b"".join(array.tobytes() for array in arrays)
    head = _HEAD.pack(MAGIC, VERSION, len(text), zlib.crc32(body), 0)
    atomic.write_bytes(path, head + body)


def is_table(path: Path) -> bool:
    """Whether a file begins as a table does. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


class TableFile:
    """A table's arrays, mapped from its file. Raises DraftTableError for what is none, or is damaged; OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not _HEAD.size <= size <= _MAX_BYTES:
                raise self._damaged("its size is none of a table")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        view = memoryview(self._map)
        try:
            magic, version, n_meta, crc, reserved = _HEAD.unpack_from(view)
            if magic != MAGIC:
                raise self._damaged("it does not begin as one does")
            if version != VERSION or reserved:
                raise DraftTableError(
                    path, f"its format is {version}, and this program reads {VERSION}", "build it again"
                )
            body = view[_HEAD.size :]
            if n_meta > min(_MAX_META, len(body)) or n_meta % 4 or zlib.crc32(body) != crc:
                raise self._damaged("its checksum is wrong")
            self.metadata = self._read_metadata(bytes(body[:n_meta]))
            self._cut(body[n_meta:])
        except BaseException:
            self.close()
            raise

    def _read_metadata(self, text: bytes) -> Metadata:
        try:
            meta = Metadata(**json.loads(text))
        except (ValueError, TypeError, RecursionError) as error:
            raise self._damaged("its metadata cannot be read") from error
        for each in fields(Metadata):
            kind = str if each.type == "str" else int
            if type(getattr(meta, each.name)) is not kind:
                raise self._damaged(f"its {each.name} is strange")
        if not (0 < meta.order <= MAX_ORDER and 0 <= meta.n_tokens <= N_BUCKETS):
            raise self._damaged("its metadata is out of range")
        return meta

    def _cut(self, data: memoryview) -> None:
        n_tokens, n_entries = self.metadata.n_tokens, self.metadata.n_entries
        sizes = (4 * (N_BUCKETS + 1), 4 * n_tokens, 2 * n_entries, 2 * n_entries, n_entries)
        if n_entries < 0 or sum(sizes) != len(data) or sys.byteorder != "little":
            raise self._damaged("its length is wrong")
        ends = list(itertools.accumulate(sizes))
        parts = [data[end - size : end] for size, end in zip(sizes, ends, strict=True)]
        self.buckets, self.tokens = parts[0].cast("I"), parts[1].cast("I")
        self.hashes, self.predictions, self.marks = parts[2].cast("H"), parts[3].cast("H"), parts[4]
        bounds = np.frombuffer(self.buckets, np.uint32)
        is_whole = bounds[0] == 0 and bounds[-1] == n_entries and bool((np.diff(bounds.astype(np.int64)) >= 0).all())
        if not is_whole or (n_entries and int(np.frombuffer(self.predictions, np.uint16).max()) >= n_tokens):
            raise self._damaged("its entries point out of it")

    def _damaged(self, what: str) -> DraftTableError:
        return DraftTableError(self.path, f"it is no whole draft table: {what}")

    def close(self) -> None:
        """Let go of the file's pages, once nothing reads them any more."""
        with contextlib.suppress(BufferError):
            self._map.close()
