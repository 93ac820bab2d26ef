"""Atomic replacement of a file: written beside, brought to the disk, renamed. A kill leaves the old or the new content.

Scratch files are named NAME.XXXXXXXX.partial (eight hexadecimal digits), so that what a killed writer left is
recognised, and no two writers share one. The last writer's content stays. (The converter's resumable NAME.partial is no
scratch file: its journal says how much of it counts.)
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

SCRATCH_SUFFIX = ".partial"
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)  # O_BINARY: Windows
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES}  # of some network disks; a folder without read permission


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A scratch file that takes the name `path` once the block ends and its bytes are on the disk.

    `mode` is the permissions of the file, less the umask. Raises OSError, as the block may raise anything: then `path`
    is as it was, and the scratch file is gone.
    """
    scratch = path.with_name(f"{path.name}.{secrets.token_hex(4)}{SCRATCH_SUFFIX}")
    descriptor = os.open(scratch, _NEW_FILE, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise
    sync_folder(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Make `data` the content of `path`, all of it or nothing. Raises OSError."""
    with replacing(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Make `text` the content of `path`, in UTF-8 and with its line ends as they are. Raises OSError.

    File names that are not UTF-8 become their own bytes again (`os.fsdecode`'s surrogates).
    """
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def sync_folder(folder: Path) -> None:
    """Bring the names in `folder` to the disk, where the system can. Raises OSError."""
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
