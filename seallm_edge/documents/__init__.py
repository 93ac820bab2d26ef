"""Users' documents for chat messages: text in any usual encoding, HTML, PDF, DOCX and ODT, read, cut and fenced."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .document import Document, DocumentNotice, as_message_part
    from .encodings import ENCODINGS, Candidate, Decoded, candidates, decode
    from .parts import Part, chunks, fit
    from .reading import document_from_bytes, read_document

# public name → its module, imported on first access: a chat without documents begins without them
_HOMES = {
    "ENCODINGS": "encodings",
    "Candidate": "encodings",
    "Decoded": "encodings",
    "Document": "document",
    "DocumentNotice": "document",
    "Part": "parts",
    "as_message_part": "document",
    "candidates": "encodings",
    "chunks": "parts",
    "decode": "encodings",
    "document_from_bytes": "reading",
    "fit": "parts",
    "read_document": "reading",
}
__all__ = [
    "ENCODINGS",
    "Candidate",
    "Decoded",
    "Document",
    "DocumentNotice",
    "Part",
    "as_message_part",
    "candidates",
    "chunks",
    "decode",
    "document_from_bytes",
    "fit",
    "read_document",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
