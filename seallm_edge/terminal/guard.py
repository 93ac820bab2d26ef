"""`TerminalGuard`: a shell that makes the terminal usable again if this program is killed.

A killed program leaves keys without echo, and the terminal divided. The shell waits for the end of a pipe, which comes
however this program ends. ref: stty(1), DECSTBM
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import IO

from .reply_area import RESET

# $1: escape sequences. Standard input is the pipe, standard output the terminal, standard error its answer to us.
_SCRIPT = """
exec 3<&1
settings=$(stty -g <&3) && printf . >&2 && exec 2>/dev/null || exit
read -r end || { stty "$settings" <&3; printf %s "$1"; }
"""


class TerminalGuard:
    """Guard of the terminal on stdin, as a context manager; leaving it ends the guard. None on Windows."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> TerminalGuard:
        if sys.platform != "win32" and sys.stdin.isatty():
            with contextlib.suppress(OSError):
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", _SCRIPT, "sh", RESET],
                    stdin=subprocess.PIPE, stdout=sys.stdin.fileno(), stderr=subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C at the terminal is not for it
                )  # fmt: skip
                _pipe(self._process.stderr).read(1)  # now it knows the settings
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            with contextlib.suppress(OSError):
                _pipe(self._process.stdin).write(b"end\n")
            self._process.communicate()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe
    return pipe
