"""UTF-8 text from standard input; other encodings are refused."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

from ..errors import SeaLLMError
from ..files.text_file import NotUtf8, decode
from .output import diagnostic

_PATIENCE_SECONDS = 2.0
_WAITING = "reading standard input; end it with Ctrl-D, or give </dev/null"


def is_piped() -> bool:
    """Whether standard input is open and no terminal."""
    return sys.stdin is not None and not sys.stdin.closed and not sys.stdin.isatty()


def read_text(*, is_expected: bool = True) -> str:
    """Text of standard input; "" where it is closed or a terminal. Raises SeaLLMError if it is not UTF-8.

    If it is not expected, as beside a prompt in the arguments, and does not end within 2 seconds, a diagnostic says so.
    """
    if not is_piped():
        return ""
    waiting = threading.Timer(_PATIENCE_SECONDS, diagnostic, [_WAITING])
    waiting.daemon = True
    if not is_expected:
        waiting.start()
    try:
        return _decode(sys.stdin.buffer.read(), 1)
    finally:
        waiting.cancel()


def read_lines() -> Iterator[str]:
    """Lines of standard input as they arrive, without line ends. Raises SeaLLMError at a line that is not UTF-8."""
    if not is_piped():
        return
    for number, line in enumerate(sys.stdin.buffer, 1):
        yield _decode(line, number).rstrip("\r\n")


def _decode(data: bytes, first_line: int) -> str:
    try:
        return decode(data, first_line)
    except NotUtf8 as error:
        raise SeaLLMError(
            f"standard input {error}",
            f"convert it first, for instance: iconv -f {error.encoding or 'WINDOWS-1258'} -t UTF-8",
        ) from error
