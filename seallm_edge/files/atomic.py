"""Atomic replacement of a file: write a scratch file, sync, rename. A kill leaves the old or the new content.

Scratch files are named NAME.XXXXXXXX.partial (eight hexadecimal digits), so that those of a killed writer are
recognised, and no two writers share one. The last writer's content stays. (The converter's resumable NAME.partial is
no scratch file: its journal records its progress.)
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
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES}  # some network disks; a folder without read permission


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Scratch file that is synced and renamed to `path` when the block ends.

    `mode` is the permissions of the file, less the umask. Raises OSError. If the block or the rename fails, `path` is
    unchanged, and the scratch file is removed.
    """
    scratch = path.with_name(f"{path.name}.{secrets.token_hex(4)}{SCRATCH_SUFFIX}")
    try:
        descriptor = os.open(scratch, _NEW_FILE, mode)
    except OSError as error:
        error.filename = str(path)  # the user knows no scratch file
        raise
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
    """Write `data` to `path` atomically. Raises OSError."""
    with replacing(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, in UTF-8, with its line ends unchanged. Raises OSError.

    Surrogates of `os.fsdecode` are written as the bytes they stand for, so that file names of any encoding are kept.
    """
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def sync_folder(folder: Path) -> None:
    """Sync the names in `folder` to the disk, where the system supports it. Raises OSError."""
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
