"""Mentions of files in a message: `@report.pdf`, `@"my notes.txt"`. Knows no documents."""

from __future__ import annotations

import re
from pathlib import Path

from ..paths import typed_path

# At the start or after a space, so that an e-mail address is none.
_MENTION = re.compile(r'(?:^|(?<=\s))@(?:"([^"\n]+)"|(\S+))')
_PUNCTUATION = ".,;:!?)]}'\"…။၊។៕។，。；：！？）」』"


def mentioned_files(text: str) -> list[Path]:
    """Files that a message mentions, each once, in order. A name that is no file is plain text."""
    found: dict[Path, None] = {}
    for quoted, bare in _MENTION.findall(text):
        spellings = [quoted] if quoted else [bare, bare.rstrip(_PUNCTUATION)]
        path = next((path for path in map(typed_path, spellings) if _is_file(path)), None)
        if path is not None:
            found[path] = None
    return list(found)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long for a path, or with a NUL
        return False
