"""sha256 of files, and sidecar files that list them in sha256sum's format."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from seallm_edge.errors import ModelFileError

from . import atomic
from .companions import SIDECAR_SUFFIX, sidecar_of
from .disk_space import translated_errors
from .small_files import read_small_file

SHA256 = re.compile(r"[0-9a-f]{64}")
_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")  # ref: GNU coreutils, sha256sum
_BLOCK_BYTES = 1 << 20
_MAX_LIST = 4 << 20  # bytes


def sha256_of(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """The hexadecimal digits of a file's sha256. `on_bytes` gets the number of bytes of each block. Raises
    ModelFileError; an exception of `on_bytes` ends it.
    """
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_BLOCK_BYTES))
    try:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
                if on_bytes:
                    on_bytes(count)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise ModelFileError(path, problem, "check the disk, then get the file again") from error
    return digest.hexdigest()


def write_sidecar(path: Path, hashes: Mapping[str, str]) -> None:
    """Write the sidecar of `path` with `hashes` by file name. Raises ConversionError."""
    sidecar = sidecar_of(path)
    text = "".join(f"{digits}  {name}\n" for name, digits in hashes.items())
    with translated_errors(sidecar, len(text)):
        atomic.write_text(sidecar, text)


def write_sums(path: Path, hashes: Mapping[str, str]) -> None:
    """Write a list of sha256 by path relative to its folder, for `sha256sum -c`. Raises OSError."""
    atomic.write_text(path, "".join(f"{digits}  {name}\n" for name, digits in sorted(hashes.items())))


def read_sums(path: Path) -> dict[str, str]:
    """{path relative to the list's folder: sha256} of a list, without other lines and paths that leave the folder.

    Raises OSError, also for a list that is a symbolic link or larger than 4 MiB.
    """
    lines = read_small_file(path, _MAX_LIST).decode("utf-8-sig", "surrogateescape").splitlines()
    found = (_LINE.fullmatch(line) for line in lines)
    return {line[2]: line[1].lower() for line in found if line and _is_inside(line[2])}


def listed_hashes(sidecar: Path) -> dict[str, str]:
    """{file name: sha256} of a sidecar. Raises ModelFileError, also if the file it is named after is missing in it."""
    try:
        lines = sidecar.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    except OSError as error:
        raise ModelFileError(sidecar, f"cannot be read: {error.strerror}", "check the file's permissions") from error
    matches = [match for line in lines if (match := _LINE.fullmatch(line))]
    listed = {Path(match[2]).name: match[1].lower() for match in matches}
    if sidecar.name.removesuffix(SIDECAR_SUFFIX) not in listed:
        problem = f"does not tell the sha256 of {sidecar.name.removesuffix(SIDECAR_SUFFIX)}"
        raise ModelFileError(sidecar, problem, "write it with sha256sum, or remove it")
    return listed


def _is_inside(name: str) -> bool:
    """Whether a listed path stays in the list's folder, on every system."""
    return not re.match(r"[/\\]|[A-Za-z]:", name) and ".." not in re.split(r"[/\\]", name)
