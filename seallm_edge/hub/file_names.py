"""File names that come from a network: only those that stay inside their folder on every system are used."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from ..files.portable_names import is_reserved

_FORBIDDEN = re.compile(r"[\\/:*?\"<>|]")
_MAX_NAME_BYTES = 200  # most systems allow 255; the rest is for endings of ours
_MAX_ENDING = 20
_NAMELESS = "download"


def harmless_names(names: Iterable[object]) -> Iterator[str]:
    """The names, with / between folders, that stay inside their folder on every system, each for a file of its own.

    Of names that some system takes for one (by case, or by how letters are composed) the first one counts.
    """
    seen = set()
    for name in names:
        if isinstance(name, str) and is_harmless(name):
            folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
            if folded not in seen:
                seen.add(folded)
                yield name


def is_harmless(name: str) -> bool:
    """Whether a file name, with / between folders, stays inside its folder on every system."""
    return all(map(_is_harmless_part, name.split("/")))


def safe_name(name: str) -> str:
    """A file name for one that a server gave: without folders, and fit for every system."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    kept = "".join(char if char.isprintable() else "_" for char in _FORBIDDEN.sub("_", last))
    ending = PurePosixPath(kept).suffix[-_MAX_ENDING:]
    stem = kept.removesuffix(ending)
    while len((stem + ending).encode("utf-8", "replace")) > _MAX_NAME_BYTES:
        stem = stem[:-1]
    kept = stem + ending
    kept = kept.strip(" ").rstrip(" .")
    if not kept.strip("."):
        return _NAMELESS
    return kept if _is_harmless_part(kept) else f"_{kept}"


def _is_harmless_part(part: str) -> bool:
    # Not printable are control characters, and those that reverse the order of the text around them.
    is_plain = part.isprintable() and not set(part) & set("\\:")
    return is_plain and part not in ("", ".", "..") and part[-1] not in ". " and not is_reserved(part)
