"""Small PDF, DOCX and ODT files, written by hand for tests."""

from __future__ import annotations

import io
import zipfile
import zlib
from xml.sax.saxutils import escape

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"


def zipped(files: dict[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """ZIP archive of files in memory."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def paragraph(text: str, properties: str = "") -> str:
    """Paragraph of WordprocessingML."""
    return f'<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p>'


def docx(body: str, **others: str) -> bytes:
    """DOCX with this body; `numbering` is the content of its lists' file."""
    document = (
        f'<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    )
    files: dict[str, str | bytes] = {"[Content_Types].xml": "<Types/>", "word/document.xml": document}
    for name, content in others.items():
        files[f"word/{name}.xml"] = f'<w:{name} xmlns:w="{WORD}">{content}</w:{name}>'
    return zipped(files)


def odt(body: str, manifest: str = "") -> bytes:
    """ODT with this body."""
    names = f'xmlns:office="{OFFICE}" xmlns:text="{TEXT}" xmlns:table="{TABLE}"'
    inner = f"<office:body><office:text>{body}</office:text></office:body>"
    content = f"<office:document-content {names}>{inner}</office:document-content>"
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": content,
            "META-INF/manifest.xml": f"<manifest>{manifest}</manifest>",
        }
    )


def pdf(*pages: str) -> bytes:
    """PDF with a page for each text, in a font of 16-bit codes that its ToUnicode map gives meaning."""
    letters = sorted({char for text in pages for char in text})
    codes = {char: number for number, char in enumerate(letters, 1)}
    return pdf_of(["".join(f"{codes[char]:04x}" for char in text) for text in pages], to_unicode(codes))


def to_unicode(codes: dict[str, int]) -> bytes:
    """ToUnicode map of a font. ref: ISO 32000-1, 9.10.3"""
    rows = "\n".join(f"<{code:04x}> <{char.encode('utf-16-be').hex()}>" for char, code in codes.items())
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        "1 begincodespacerange <0000> <ffff> endcodespacerange\n"
        f"{len(codes)} beginbfchar\n{rows}\nendbfchar\nendcmap end end"
    ).encode()


def pdf_of(pages: list[str], cmap: bytes) -> bytes:
    """PDF whose pages show strings of hexadecimal codes; a page of "" shows nothing."""
    first_page = 6
    kids = " ".join(f"{first_page + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode(),
        b"<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H"
        b" /DescendantFonts [4 0 R] /ToUnicode 5 0 R >>",
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /X /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity)"
        b" /Supplement 0 >> /DW 600 >>",
        stream(cmap),
    ]
    for number, codes in enumerate(pages):
        content = f"BT /F1 12 Tf 72 720 Td <{codes}> Tj ET".encode() if codes else b""
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {first_page + 2 * number + 1} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(stream(content))
    return assembled(objects)


def pdf_of_many_pages(n_pages: int) -> bytes:
    """Small PDF that shows the same page `n_pages` times, by page tree nodes of a thousand pages."""
    n_nodes, n_rest = divmod(n_pages, 1000)
    page = b"<< /Type /Page /MediaBox [0 0 595 842] >>"
    node = b"<< /Type /Pages /Count 1000 /Kids [%s] >>" % (b"4 0 R " * 1000)
    kids = b"3 0 R " * n_nodes + b"4 0 R " * n_rest
    root = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (n_pages, kids)
    return assembled([b"<< /Type /Catalog /Pages 2 0 R >>", root, node, page])


def stream(content: bytes) -> bytes:
    """Compressed stream object."""
    packed = zlib.compress(content)
    return b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed)


def assembled(objects: list[bytes]) -> bytes:
    """PDF file of objects 1, 2, …, with its cross-reference table; the first is the catalogue."""
    data = b"%PDF-1.7\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    trailer = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(data))
    return data + head + table + trailer
