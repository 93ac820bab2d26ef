"""Small files that lie beside a model, perhaps on somebody else's disk: regular ones only, up to a limit.

A symbolic link on a stick could lead to any file of this computer, whose text would then go along with the next export.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MOST_BYTES = 1 << 20  # of a licence, of facts, of a card
# Neither follow a link nor wait for the other end of a pipe; Windows has neither flag.
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def read_small_file(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Bytes of a regular file. Raises OSError for a symbolic link, a pipe, a device or a file above `most_bytes`."""
    _check(path, path.lstat(), most_bytes)
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        _check(path, os.fstat(file.fileno()), most_bytes)
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, "File too large", str(path))
    return data


def _check(path: Path, status: os.stat_result, most_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    if status.st_size > most_bytes:
        raise OSError(errno.EFBIG, "File too large", str(path))
