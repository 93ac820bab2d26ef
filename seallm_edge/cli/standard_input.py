"""Text from standard input: UTF-8, and nothing else taken for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ..errors import SeaLLMError
from ..files.text_file import NotUtf8, decode


def is_piped() -> bool:
    """Whether standard input is open and no terminal."""
    return sys.stdin is not None and not sys.stdin.closed and not sys.stdin.isatty()


def read_text() -> str:
    """All of standard input; "" where it is closed. Raises SeaLLMError if it is not UTF-8."""
    return _decode(sys.stdin.buffer.read(), 1) if is_piped() else ""


def read_lines() -> Iterator[str]:
    """Line after line as they come, without their ends. Raises SeaLLMError at one that is not UTF-8."""
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
