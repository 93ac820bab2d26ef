"""Users' documents for chat messages: text in any usual encoding, HTML, PDF, DOCX and ODT, read, cut and fenced."""

from .document import Document, Notice, as_message_part
from .encodings import ENCODINGS, Candidate, Decoded, candidates, decode
from .parts import Part, chunks, fit
from .reading import read_document

__all__ = [
    "ENCODINGS",
    "Candidate",
    "Decoded",
    "Document",
    "Notice",
    "Part",
    "as_message_part",
    "candidates",
    "chunks",
    "decode",
    "fit",
    "read_document",
]
