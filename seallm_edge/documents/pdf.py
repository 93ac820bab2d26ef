"""Text of a PDF by pypdf, page by page, within limits of pages and seconds. Needs the `documents` extra."""

from __future__ import annotations

import io
import logging
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from .document import MAX_TEXT, DocumentNotice, Extracted, UnreadableDocument

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

MAX_PAGES = 2_000
MAX_SECONDS = 120.0
_MAX_STREAM_BYTES = 16 << 20  # of one stream, unpacked: pictures are not, and pages of text have a hundredth of it
_MAX_STREAM_PARTS = 1_000_000  # operators and operands
_INSTALL = "pip install 'seallm-edge[documents]'"


class _TooSlow(Exception):
    pass


def pdf_text(data: bytes, max_seconds: float = MAX_SECONDS) -> Extracted:
    """Text of a PDF, a blank line between its pages; a notice names those without text.

    Raises UnreadableDocument for an encrypted or damaged file, one without text, one over the limits, and where pypdf
    is not installed.
    """
    with _limits():
        return _read(data, max_seconds)


def _limits() -> AbstractContextManager[object]:
    """Limits of pypdf on what a small file can unpack to."""
    try:
        from pypdf import apply_configuration
    except ImportError as error:
        raise UnreadableDocument("is a PDF, and pypdf is not installed", _INSTALL) from error
    return apply_configuration(
        zlib_maximum_output_length=_MAX_STREAM_BYTES,
        lzw_maximum_output_length=_MAX_STREAM_BYTES,
        run_length_maximum_output_length=_MAX_STREAM_BYTES,
        array_based_stream_maximum_output_length=_MAX_STREAM_BYTES,
        stream_parsing_work_maximum_count=_MAX_STREAM_PARTS,
    )


def _read(data: bytes, max_seconds: float) -> Extracted:
    deadline = time.monotonic() + max_seconds
    pages = _pages(_opened(data))
    texts: list[str] = []
    broken: list[int] = []
    n_characters = 0
    for number, page in enumerate(pages, 1):
        try:
            texts.append(_page_text(page, deadline))
        except _TooSlow:
            problem = f"takes more than {max_seconds:g} seconds to read: it is at page {number:,} of {len(pages):,}"
            raise UnreadableDocument(problem, "give a part of it") from None
        except Exception:  # noqa: BLE001  pypdf: a damaged page may fail in any way
            texts.append("")
            broken.append(number)
        n_characters += len(texts[-1])
        if n_characters > MAX_TEXT:
            raise UnreadableDocument(f"has more than {MAX_TEXT:,} characters of text", "give a part of it")
    return _joined(texts, broken)


def _opened(data: bytes) -> PdfReader:
    import pypdf
    from pypdf.errors import DependencyError, FileNotDecryptedError

    logging.getLogger("pypdf").addHandler(logging.NullHandler())  # its warnings would go to stderr
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise FileNotDecryptedError
    except (DependencyError, FileNotDecryptedError) as error:
        raise UnreadableDocument("is an encrypted PDF", "save it without a password") from error
    except Exception as error:
        raise _damaged(error) from error
    return reader


def _pages(reader: PdfReader) -> list[PageObject]:
    try:
        n_pages = len(reader.pages)
        if n_pages <= MAX_PAGES:
            return list(reader.pages)
    except Exception as error:
        raise _damaged(error) from error
    raise UnreadableDocument(f"has {n_pages:,} pages; {MAX_PAGES:,} are the most that is read", "give a part of it")


def _damaged(error: Exception) -> UnreadableDocument:
    if type(error).__name__ == "LimitReachedError":
        return UnreadableDocument(f"is a PDF over the reader's limits: {error}", "save it as text")
    return UnreadableDocument("is a damaged PDF", "copy it again, or save it as text")


def _page_text(page: PageObject, deadline: float) -> str:
    def check(*_: object) -> None:
        if time.monotonic() > deadline:
            raise _TooSlow

    check()
    return page.extract_text(visitor_operand_before=check).strip()


def _joined(texts: list[str], broken: list[int]) -> Extracted:
    n_pages = len(texts)
    if not any(texts):
        if broken or not texts:
            raise UnreadableDocument("is a damaged PDF: no page can be read", "copy it again, or save it as text")
        raise UnreadableDocument(f"is a PDF without text ({_counted(n_pages)}), such as a scan", "use OCR first")
    notices = []
    empty = [number for number, text in enumerate(texts, 1) if not text and number not in broken]
    if empty:
        words = f"{len(empty):,} of {_counted(n_pages)} have no text (scans or pictures): {_listed(empty)}"
        notices.append(DocumentNotice("pages without text", words, _facts(empty, n_pages)))
    if broken:
        words = f"{len(broken):,} of {_counted(n_pages)} cannot be read: {_listed(broken)}"
        notices.append(DocumentNotice("damaged pages", words, _facts(broken, n_pages)))
    return Extracted("\n\n".join(text for text in texts if text), tuple(notices))


def _facts(numbers: list[int], n_pages: int) -> dict[str, Any]:
    return {"n": len(numbers), "n_pages": n_pages, "pages": _listed(numbers)}


def _counted(n_pages: int) -> str:
    return f"{n_pages:,} page{'' if n_pages == 1 else 's'}"


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (", …" if len(numbers) > 10 else "")
