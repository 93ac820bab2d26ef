"""Model files with seeded contents for tests of the store."""

import hashlib
import random
from pathlib import Path
from typing import Any

from seallm_edge.convert.gguf_tasks import merge_task, split_task
from seallm_edge.convert.run import Options, run
from seallm_edge.gguf_file import read_structure

from .gguf_files import write_gguf_file

_FINITE = bytes(byte & 0x3F for byte in range(256))  # no number of such bytes is infinite


def write_model(path: Path, seed: int = 0, **options: Any) -> Path:
    """A sound GGUF whose weights are seeded bytes, so that no two seeds have one content."""
    write_gguf_file(path, **options)
    start = read_structure(path).data_offset
    with path.open("r+b") as file:
        file.seek(start)
        file.write(random.Random(seed).randbytes(path.stat().st_size - start).translate(_FINITE))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_below(folder: Path) -> list[str]:
    """Paths of the files below a folder, with slashes."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def split_model(path: Path, n_bytes: int, out: Path) -> tuple[Path, ...]:
    """Parts as `seallm split` writes them, without its check by llama.cpp."""
    return run(split_task(path, n_bytes, out), Options(verify="none"))[0][0].paths


def merge_model(first: Path, out: Path) -> Path:
    """One file as `seallm merge` writes it, without its check by llama.cpp."""
    return run(merge_task(first, out), Options(verify="none"))[0][0].paths[0]
