"""Documents as they are handed on: text, notices for the reader, limits, and the block that goes into a message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..hints import Hint

MAX_FILE_BYTES = 64 << 20  # of a PDF, DOCX or ODT, pictures included
MAX_TEXT = 8 << 20  # bytes of a text file, characters of any other: over 15 times the largest context


@dataclass(frozen=True)
class DocumentNotice:
    """Notice about a document, for its reader: its `topic`, such as "zawgyi", the `words` of a sentence in English, and
    the `facts` in it by name, for other words.
    """

    topic: str
    words: str
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Document:
    """Document read into text, with line feeds as line ends.

    `name` is the file's name without its folder, `kind` one of `KINDS`, and `encoding` that of a text file's bytes, ""
    for PDF, DOCX and ODT.
    """

    name: str
    text: str
    kind: str
    encoding: str = ""
    notices: tuple[DocumentNotice, ...] = ()


@dataclass(frozen=True)
class Extracted:
    """Text taken out of a file's format, with its notices."""

    text: str
    notices: tuple[DocumentNotice, ...] = ()


class UnreadableDocument(ValueError):
    """Data that cannot be read into text. The message continues a file's name: "is a JPEG picture"; `hint` mends it."""

    def __init__(self, problem: str, hint: Hint | str = "") -> None:
        super().__init__(problem)
        self.hint = hint


def as_message_part(document: Document) -> str:
    """Message part of a document: its name, and its text in a fence longer than any fence in the text."""
    longest = max((len(run) for run in re.findall("`+", document.text)), default=0)
    fence = "`" * max(3, longest + 1)
    name = re.sub(r"[\s`\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", document.name).strip()
    text = document.text if document.text.endswith("\n") else f"{document.text}\n"
    return f"Document {name}:\n{fence}\n{text}{fence}\n"
