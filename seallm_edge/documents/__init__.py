"""Users' documents for chat messages: text in any usual encoding, HTML, PDF, DOCX and ODT, read, cut and fenced."""

from .document import Document, DocumentNotice, as_message_part
from .encodings import ENCODINGS, Candidate, Decoded, candidates, decode
from .parts import Part, chunks, fit
from .reading import read_document

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
    "fit",
    "read_document",
]
