"""Writers of importance matrices in the formats of llama-imatrix: GGUF, and the older .dat."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np

Entries = Mapping[str, tuple[np.ndarray, np.ndarray]]  # sums of squares (experts, columns); counts (experts,)


def write_gguf(
    path: Path, entries: Entries, datasets: Sequence[str] | None = ("text.txt",), chunks: int | None = 7, **more: Any
) -> Path:
    """A GGUF importance matrix; what is None is left out. `more` are arrays that are no part of one."""
    writer = gguf.GGUFWriter(path, "")
    writer.add_type("imatrix")
    if datasets is not None:
        writer.add_array("imatrix.datasets", list(datasets))
    if chunks is not None:
        writer.add_uint32("imatrix.chunk_count", chunks)
        writer.add_uint32("imatrix.chunk_size", 512)
    for name, (sums, counts) in entries.items():
        writer.add_tensor(f"{name}.in_sum2", sums)
        writer.add_tensor(f"{name}.counts", counts.reshape(-1, 1))
    for name, array in more.items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_dat(path: Path, entries: Mapping[str, tuple[int, np.ndarray]], trailer: bytes | None = None) -> Path:
    """A .dat importance matrix of (calls, values); without a `trailer`, 7 chunks of text.txt."""
    parts = [struct.pack("<i", len(entries))]
    for name, (calls, values) in entries.items():
        parts += [struct.pack("<i", len(name)), name.encode(), struct.pack("<ii", calls, values.size)]
        parts.append(values.astype("<f4").tobytes())
    parts.append(struct.pack("<ii", 7, 8) + b"text.txt" if trailer is None else trailer)
    path.write_bytes(b"".join(parts))
    return path
