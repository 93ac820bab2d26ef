"""Documents from files: checked, read by kind, and their Burmese converted from Zawgyi.

What the formats' readers refuse becomes a DocumentError here.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DocumentError, UncertainEncoding
from ..files.sizes import readable
from ..text.unicode import normalize
from ..text.zawgyi import looks_like_zawgyi, zawgyi_to_unicode
from .archive import Archive
from .document import MAX_FILE_BYTES, MAX_TEXT, Document, DocumentNotice, Extracted, UnreadableDocument
from .docx import docx_text
from .encodings import UndecodableText, candidates, decode
from .html_text import html_text
from .kinds import kind_of, kind_of_archive
from .odt import odt_text
from .pdf import pdf_text

_GIVE_A_PART = "give a part of it"
_BURMESE = re.compile("[\u1000-\u109f]")
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")  # what formats such as PDF leave for unknown glyphs
_SPECIAL_FILES = (
    (stat.S_ISDIR, "is a folder", "give a file in it"),
    (stat.S_ISFIFO, "is a pipe", "write it to a file first"),
    (stat.S_ISCHR, "is a device", "give a file"),
    (stat.S_ISBLK, "is a device", "give a file"),
    (stat.S_ISSOCK, "is a socket", "give a file"),
)


def read_document(path: Path | str, encoding: str | None = None) -> Document:
    """Document at `path`, as text. `encoding` is that of a text file, by one of the names in `ENCODINGS`.

    Raises UncertainEncoding where a text file's encoding has to be asked for, DocumentError for a file that cannot be
    read, and InvalidOption for an unknown encoding.
    """
    path = Path(path)
    with _told(path):
        return _document(path, _read(path), encoding)


def document_from_bytes(name: str, data: bytes, encoding: str | None = None) -> Document:
    """Document from the contents of a file of this name, which is not opened; otherwise as `read_document`."""
    path = Path(name)
    with _told(path):
        if len(data) > MAX_FILE_BYTES:
            raise _too_large(len(data))
        if not data:
            raise UnreadableDocument("is empty")
        return _document(path, data, encoding)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Raise errors inside the block as DocumentError."""
    try:
        yield
    except (UnreadableDocument, UndecodableText) as error:
        raise DocumentError(path, str(error), getattr(error, "hint", "")) from error
    except OSError as error:
        raise DocumentError(path, f"cannot be read: {_reason(error)}") from error


def _too_large(size: int) -> UnreadableDocument:
    return UnreadableDocument(
        f"has {readable(size)}; {readable(MAX_FILE_BYTES)} are the most that is read", _GIVE_A_PART
    )


def _read(path: Path) -> bytes:
    """Bytes of a regular file within the limits."""
    try:
        found = path.stat()
    except ValueError as error:  # a NUL in the name
        raise UnreadableDocument("is no name of a file") from error
    for is_special, problem, hint in _SPECIAL_FILES:
        if is_special(found.st_mode):
            raise UnreadableDocument(problem, hint)
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise _too_large(max(found.st_size, len(data)))
    if not data:
        raise UnreadableDocument("is empty")
    return data


def _document(path: Path, data: bytes, encoding: str | None) -> Document:
    kind = kind_of(data, path.suffix)
    used = ""
    if kind == "pdf":
        extracted = pdf_text(data)
    elif kind == "zip":
        archive = Archive(data)
        kind = kind_of_archive(archive.names, archive.read("mimetype", 200).decode("ascii", "ignore"))
        extracted = docx_text(archive) if kind == "docx" else odt_text(archive)
    else:
        extracted, used = _decoded(path, data, kind, encoding)
    text, notices = _cleaned(extracted.text, is_decoded=bool(used))
    if not text.strip():
        raise UnreadableDocument("has no text")
    return Document(normalize(path.name), text, kind, used, (*extracted.notices, *notices))


def _decoded(path: Path, data: bytes, kind: str, encoding: str | None) -> tuple[Extracted, str]:
    """Text of a text file or HTML page, and its encoding."""
    if len(data) > MAX_TEXT:
        limit = f"{readable(MAX_TEXT)} of text are the most that is read"
        raise UnreadableDocument(f"has {readable(len(data))}; {limit}", _GIVE_A_PART)
    decoded = decode(data, encoding)
    if not decoded.is_certain:
        raise UncertainEncoding(path, [(found.encoding, found.sample) for found in candidates(data)])
    extracted = html_text(decoded.text) if kind == "html" else Extracted(decoded.text)
    return extracted, decoded.encoding


def _cleaned(text: str, is_decoded: bool) -> tuple[str, list[DocumentNotice]]:
    """Text with line feeds as line ends and Burmese in Unicode, and notices of what was changed or is damaged."""
    notices = []
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not is_decoded and (n_unknown := len(_NO_TEXT.findall(text))):
        text = _NO_TEXT.sub("", text)
        words = f"{n_unknown:,} characters have no known letter and were left out"
        notices.append(DocumentNotice("unknown characters", words, {"n": n_unknown}))
    if n_replaced := text.count("\ufffd"):
        words = f"{n_replaced:,} characters are U+FFFD: they were lost before this reading"
        notices.append(DocumentNotice("replacement characters", words, {"n": n_replaced}))
    converted, n_lines = _without_zawgyi(text)
    if n_lines:
        words = f"{n_lines:,} lines of Burmese were converted from Zawgyi to Unicode"
        notices.append(DocumentNotice("zawgyi", words, {"n": n_lines}))
    return converted, notices


def _without_zawgyi(text: str) -> tuple[str, int]:
    """Text with its Zawgyi lines converted, and their number: all lines of Burmese if half of them look like Zawgyi."""
    if not looks_like_zawgyi(text):
        return text, 0
    lines = text.split("\n")
    burmese = [number for number, line in enumerate(lines) if _BURMESE.search(line)]
    zawgyi = [number for number in burmese if looks_like_zawgyi(lines[number])]
    chosen = burmese if 2 * len(zawgyi) >= len(burmese) else zawgyi
    for number in chosen:
        lines[number] = zawgyi_to_unicode(lines[number])
    return "\n".join(lines), len(chosen)


def _reason(error: OSError) -> str:
    reasons = {errno.ENOENT: "there is no such file", errno.EACCES: "this user has no permission"}
    return reasons.get(error.errno or 0, (error.strerror or os.strerror(error.errno or 0)).lower())
