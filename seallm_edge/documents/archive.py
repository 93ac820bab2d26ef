"""Archives of DOCX and ODT: ZIP files with XML, read within limits. Nothing is unpacked to the disk.

XML with a document type is refused, so no entity is ever expanded. Knows ZIP and XML, not the documents' tags.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from xml.parsers import expat

from .document import UnreadableDocument

MAX_XML_BYTES = 64 << 20
_MAX_DIRECTORY_BYTES = 1 << 20  # some 10,000 files; zipfile takes 500 bytes of memory for each
_MAX_DEPTH = 2_000  # nested elements
_CHUNK = 1 << 16
_ENCRYPTED = 1  # flag of a file
_END = struct.Struct("<4s4H2LH")  # end of the directory; the sixth field is its size
_END_MAGIC, _ZIP64_MAGIC = b"PK\x05\x06", b"PK\x06\x07"
_END_WITHIN = _END.size + (1 << 16)
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    OSError,
    NotImplementedError,
    struct.error,
    RuntimeError,
)
_DAMAGED = "copy or save it again"

Attributes = dict[str, str]


class Archive:
    """ZIP archive in memory. Raises UnreadableDocument for a damaged one, or one with too many files."""

    def __init__(self, data: bytes) -> None:
        _check_directory(data)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _BROKEN as error:
            raise UnreadableDocument("is a damaged ZIP archive", _DAMAGED) from error
        self.names = frozenset(self._zip.namelist())

    def read(self, name: str, most_bytes: int) -> bytes:
        """First `most_bytes` bytes of a file; none of one that does not exist."""
        return b"".join(self._chunks(name, most_bytes))[:most_bytes] if name in self.names else b""

    def parse(
        self,
        name: str,
        start: Callable[[str, Attributes], None],
        end: Callable[[str], None],
        characters: Callable[[str], None],
    ) -> None:
        """Parse an XML file: call back for each start tag, end tag and text, by local names without a namespace.

        Raises UnreadableDocument for a missing, damaged or hostile file.
        """
        if name not in self.names:
            raise UnreadableDocument(f"is damaged: it has no {name}", _DAMAGED)
        parser = _parser(start, end, characters)
        try:
            for chunk in self._chunks(name, MAX_XML_BYTES + 1):
                parser.Parse(chunk, False)
                if parser.CurrentByteIndex > MAX_XML_BYTES:
                    raise UnreadableDocument(f"has more than {MAX_XML_BYTES >> 20} MiB of XML", "save it as text")
            parser.Parse(b"", True)
        except UnreadableDocument:
            raise
        except (expat.ExpatError, LookupError, ValueError) as error:  # the last two for encodings
            raise UnreadableDocument(f"is damaged: {name} is not XML", _DAMAGED) from error

    def _chunks(self, name: str, most_bytes: int) -> Iterator[bytes]:
        """Chunks of a file up to `most_bytes` or a little more."""
        info = self._zip.getinfo(name)
        if info.flag_bits & _ENCRYPTED:
            raise UnreadableDocument("is encrypted", "save it without a password")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnreadableDocument(f"has the compression method {info.compress_type}", _DAMAGED)
        n_bytes = 0
        try:
            with self._zip.open(info) as file:
                while n_bytes < most_bytes and (chunk := file.read(_CHUNK)):
                    n_bytes += len(chunk)
                    yield chunk
        except _BROKEN as error:
            raise UnreadableDocument(f"is damaged: {name} cannot be unpacked", _DAMAGED) from error


def _parser(
    start: Callable[[str, Attributes], None], end: Callable[[str], None], characters: Callable[[str], None]
) -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    depth = 0

    def on_start(name: str, attributes: Attributes) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise UnreadableDocument(f"has elements nested more than {_MAX_DEPTH:,} deep", "save it as text")
        start(_local(name), {_local(key): value for key, value in attributes.items()})

    def on_end(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(_local(name))

    parser.StartElementHandler = on_start
    parser.EndElementHandler = on_end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = _refuse_document_type
    return parser


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _refuse_document_type(*_: object) -> None:
    raise UnreadableDocument("has XML with a document type, which may hide an entity bomb", "save it again, or as text")


def _check_directory(data: bytes) -> None:
    """Raise UnreadableDocument for a directory that would fill the memory. ref: APPNOTE.TXT 4.3.16"""
    at = len(data) - _END.size
    if data[at : at + 4] != _END_MAGIC or data[-2:] != b"\0\0":
        at = data.rfind(_END_MAGIC, max(0, len(data) - _END_WITHIN))
    if at < 0 or at + _END.size > len(data):
        raise UnreadableDocument("is a damaged ZIP archive: its end is missing", _DAMAGED)
    n_bytes = _END.unpack_from(data, at)[5]
    if n_bytes > _MAX_DIRECTORY_BYTES or data[max(0, at - 20) : at].startswith(_ZIP64_MAGIC):
        raise UnreadableDocument("is a ZIP archive with too many files", "save it as text")
