"""Text files and standard input, decoded strictly as UTF-8, with or without a byte-order mark.

Knows bytes and paths, not the purpose of a text.
"""

from __future__ import annotations

import codecs
from pathlib import Path

_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_LOOKED_AT = 64  # bytes


class UnreadableText(ValueError):
    """Data that is no UTF-8 text. The message continues a file's name: "is UTF-16, not UTF-8"."""


class TooLarge(UnreadableText):
    """File above its reader's size limit."""


class NotUtf8(UnreadableText):
    """Bytes that are not UTF-8: the `line` of the first invalid byte, and the encoding where it is known."""

    def __init__(self, line: int, byte: int, encoding: str = "") -> None:
        self.line = line
        self.encoding = encoding
        found = f"is {encoding}, not UTF-8" if encoding else f"is not UTF-8: line {line} has the byte 0x{byte:02x}"
        super().__init__(found)


def read_text_file(path: Path, most_bytes: int | None = None) -> str:
    """Read a text file of at most `most_bytes` bytes, without its byte-order mark.

    Raises NotUtf8, TooLarge, or OSError for a file that cannot be read.
    """
    with path.open("rb") as file:
        data = file.read() if most_bytes is None else file.read(most_bytes + 1)
    if most_bytes is not None and len(data) > most_bytes:
        raise TooLarge(f"is larger than {most_bytes / 2**20:,.0f} MiB")
    return decode(data)


def decode(data: bytes, first_line: int = 1) -> str:
    """Decode UTF-8 `data`, without a byte-order mark at the start of line 1. Raises NotUtf8 with a line number counted
    from `first_line`.
    """
    if first_line == 1:
        if encoding := _other_encoding(data):
            raise NotUtf8(1, data[0], encoding)
        data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        raise NotUtf8(line, data[error.start]) from error


def _other_encoding(data: bytes) -> str:
    """UTF-16 or UTF-32 by its byte-order mark, or UTF-16 of Latin letters by its zero bytes; "" for possible UTF-8."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    head = data[:_LOOKED_AT]
    halves = (head[0::2], head[1::2])
    if len(halves[1]) > 1 and any(not any(half) and all(other) for half, other in (halves, halves[::-1])):
        return "UTF-16"
    return ""
