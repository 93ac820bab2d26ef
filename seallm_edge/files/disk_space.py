"""Disk space and permissions for an output, and the system's write errors as ConversionError."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from seallm_edge.errors import ConversionError, OutputExists
from seallm_edge.paths import models_dir

from ..gguf_file.types import MAGIC
from ..hints import Hint, Option
from .sizes import readable

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_OUT = Option("out")
_ANOTHER_OUT = Hint("give another path with {out}", out=_OUT)
_TOO_LARGE = Hint("use a disk whose file system is exFAT, NTFS, APFS or ext4")
_BLOCK = 512  # bytes; the unit of st_blocks on every file system


def make_models_dir(folder: Path) -> None:
    """Make `folder` if it is the models folder, which does not exist before the first model. Raises ConversionError."""
    if folder != models_dir():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot make the models folder {folder}: {error.strerror}"
        raise ConversionError(problem, _ANOTHER_OUT.then(", or set SEALLM_HOME")) from error


def check_output(out: Path, force: bool) -> None:
    """Raise OutputExists or ConversionError if `out` cannot be written. With `force` an existing GGUF is replaced."""
    if out.is_dir():
        raise ConversionError(f"{out} is a folder", Hint("give the name of a file with {out}", out=_OUT))
    if not out.parent.is_dir():
        raise ConversionError(f"no such folder: {out.parent}", Hint("make it, or give another with {out}", out=_OUT))
    if not os.access(out.parent, os.W_OK):
        raise _not_writable(out.parent)
    if not out.exists():
        return
    if not force:
        raise OutputExists(out)
    with translated_errors(out, 0), out.open("rb") as file:
        if file.read(len(MAGIC)) not in (MAGIC, b""):
            raise ConversionError(
                f"{out} is no GGUF, so it is not replaced", Hint("give another name with {out}", out=_OUT)
            )


def check_space(out: Path, size: int, written: Iterable[Path] = (), hint: Hint | None = None) -> None:
    """Raise ConversionError if the disk of `out` lacks space for `size` bytes, less those allocated to `written`.

    `hint` takes the place of one about the options of a conversion; its field {missing} is filled.
    """
    needed = size - allocated(written)
    free = shutil.disk_usage(out.parent).free
    if free < needed:
        problem = f"{out.name} takes {readable(size)} but {out.parent} has {readable(free)} free"
        default = Hint(
            "free {missing}, give another disk with {out}, or choose a smaller {type}", out=_OUT, type=Option("type")
        )
        chosen = hint or default
        raise ConversionError(problem, Hint(chosen.text, **chosen.parts, missing=readable(needed - free)))


def allocated(paths: Iterable[Path]) -> int:
    """Disk bytes allocated to these files; missing files and holes of sparse files count as 0.

    Windows, which does not tell, makes no file sparse by itself.
    """
    found = 0
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            found += status.st_blocks * _BLOCK if hasattr(status, "st_blocks") else status.st_size
    return found


@contextlib.contextmanager
def translated_errors(
    out: Path, size: int, written: Iterable[Path] = (), elsewhere: Hint = _ANOTHER_OUT
) -> Iterator[None]:
    """Turn OSError during the writing of `out`, of `size` bytes in all, into ConversionError.

    `elsewhere` is the hint that another place would mend it.
    """
    try:
        yield
    except PermissionError as error:
        raise _not_writable(out.parent, elsewhere) from error
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise _full(out, size, written) from error
        if error.errno == errno.EFBIG:
            problem = f"the disk of {out.parent} cannot hold a file of {readable(size)} (FAT32 ends at 4.29 GB)"
            raise ConversionError(problem, _TOO_LARGE) from error
        raise ConversionError(f"cannot write {out}: {error.strerror or error}", elsewhere) from error


def _full(out: Path, size: int, written: Iterable[Path]) -> ConversionError:
    missing = size - allocated(written) - shutil.disk_usage(out.parent).free
    problem = f"the disk of {out.parent} is full: {out.name} needs {readable(max(missing, 0))} more"
    return ConversionError(problem, "free as much, then run the same command again: it resumes")


def _not_writable(folder: Path, elsewhere: Hint = _ANOTHER_OUT) -> ConversionError:
    return ConversionError(f"the folder {folder} is not writable", elsewhere)
