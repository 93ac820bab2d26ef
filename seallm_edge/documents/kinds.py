"""Kinds of files: those that are read, and those that are refused by what they are, with a way round.

The first bytes decide; the name's suffix only distinguishes kinds of text. Knows bytes and suffixes, not paths.
"""

from __future__ import annotations

from .document import UnreadableDocument

KINDS = ("text", "markdown", "code", "table", "html", "pdf", "docx", "odt")

_SUFFIXES = {
    "markdown": ".md .markdown .mdx .rst .adoc .org",
    "table": ".csv .tsv .tab",
    "html": ".html .htm .xhtml",
    "code": (
        ".py .pyi .js .mjs .ts .tsx .jsx .java .kt .c .h .cc .cpp .hpp .cs .go .rs .rb .php .swift .m .scala .lua .pl"
        " .r .sh .bash .ps1 .bat .sql .css .scss .json .jsonl .yaml .yml .toml .ini .cfg .xml .svg"
        " .tex .ipynb .vue .dart"
    ),
}
_KIND_OF_SUFFIX = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}

_UNPACK = "unpack it, and give a file in it"
_PICTURE = "give the text instead: pictures are not read"
_SOUND = "give a transcript instead: sound and video are not read"
_PROGRAM = "give the source code instead"
_DATA = "export what you need as text, CSV or JSON"
_SAVE_AS = "open it in the program that wrote it, and save it as DOCX, ODT, PDF or text"
_SAVE_SHEET = "save the sheet as CSV"

# (offset, first bytes, description, hint). Formats that begin with letters are told from text by their control bytes.
_REFUSED = (
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or encrypted Office file (such as .doc or .xls)", _SAVE_AS),
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"BZh", "a bzip2 archive", _UNPACK),
    (0, b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!\x1a", "a RAR archive", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"MSCF", "a cabinet archive", _UNPACK),
    (0, b"\x89PNG", "a PNG picture", _PICTURE),
    (0, b"\xff\xd8\xff", "a JPEG picture", _PICTURE),
    (0, b"GIF8", "a GIF picture", _PICTURE),
    (0, b"BM", "a BMP picture", _PICTURE),
    (0, b"II*\x00", "a TIFF picture", _PICTURE),
    (0, b"MM\x00*", "a TIFF picture", _PICTURE),
    (8, b"WEBP", "a WebP picture", _PICTURE),
    (0, b"\x00\x00\x01\x00", "an icon", _PICTURE),
    (4, b"ftyphei", "a HEIC picture", _PICTURE),
    (4, b"ftypavif", "an AVIF picture", _PICTURE),
    (4, b"ftyp", "a video or sound file", _SOUND),
    (8, b"WAVE", "a WAV sound file", _SOUND),
    (8, b"AVI ", "an AVI video", _SOUND),
    (0, b"ID3", "an MP3 sound file", _SOUND),
    (0, b"OggS", "an Ogg sound or video file", _SOUND),
    (0, b"fLaC", "a FLAC sound file", _SOUND),
    (0, b"\x1a\x45\xdf\xa3", "a Matroska or WebM video", _SOUND),
    (0, b"\x7fELF", "a program", _PROGRAM),
    (0, b"MZ", "a Windows program", _PROGRAM),
    (0, b"\xcf\xfa\xed\xfe", "a macOS program", _PROGRAM),
    (0, b"\xca\xfe\xba\xbe", "a macOS program or a Java class", _PROGRAM),
    (0, b"\x00asm", "a WebAssembly program", _PROGRAM),
    (0, b"SQLite format 3\x00", "an SQLite database", _DATA),
    (0, b"PAR1", "a Parquet table", _DATA),
    (0, b"GGUF", "a model (GGUF)", "give it as the model, not as a document"),
)
_RTF = b"{\\rtf"
_ZIP = b"PK\x03\x04"
_PDF_WITHIN = 1024  # bytes; ref: ISO 32000-1, annex H
_HEAD = 512


def kind_of(data: bytes, suffix: str) -> str:
    """Kind of a file with these bytes and this suffix: "pdf", "zip", or a kind of text.

    Raises UnreadableDocument for a format that is not read.
    """
    head = data[:_HEAD]
    if b"%PDF-" in data[:_PDF_WITHIN]:
        return "pdf"
    if head.startswith(_ZIP):
        return "zip"
    if head.startswith(_RTF):
        raise UnreadableDocument("is an RTF document", _SAVE_AS)
    if not _is_free_of_controls(head):
        for offset, magic, description, hint in _REFUSED:
            if head[offset : offset + len(magic)] == magic:
                raise UnreadableDocument(f"is {description}", hint)
    if suffix == "" and head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "html"
    return _KIND_OF_SUFFIX.get(suffix.lower(), "text")


def kind_of_archive(names: frozenset[str], media_type: str) -> str:
    """Kind of a ZIP with files of these names: "docx" or "odt". `media_type` is the content of its `mimetype` file.

    Raises UnreadableDocument for any other archive.
    """
    if "opendocument.text" in media_type:
        return "odt"
    if "opendocument" in media_type:
        raise UnreadableDocument("is an OpenDocument sheet, presentation or drawing", f"{_SAVE_SHEET}, slides as PDF")
    if "epub" in media_type:
        raise UnreadableDocument("is an EPUB book", "unpack it, and give a chapter's HTML file")
    if any(name.startswith("word/") for name in names):
        return "docx"
    if any(name.startswith("xl/") for name in names):
        raise UnreadableDocument("is an Excel sheet", _SAVE_SHEET)
    if any(name.startswith("ppt/") for name in names):
        raise UnreadableDocument("is a PowerPoint presentation", "save it as PDF")
    raise UnreadableDocument("is a ZIP archive", _UNPACK)


def _is_free_of_controls(head: bytes) -> bool:
    return all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in head) and head.isascii()
