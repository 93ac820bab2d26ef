"""File names that every file system holds: FAT32's characters, Windows' reserved names, the length limits of all."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from ..text.unicode import graphemes

# UTF-8 bytes of a name, so that "-00001-of-00009.gguf.partial" behind it stays below ext4's 255 bytes.
_MAX_BYTES = 200
_HASH_DIGITS = 8
# ref: https://learn.microsoft.com/windows/win32/fileio/naming-a-file; an ending after a dot changes nothing
_DEVICES = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³]) *(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f"*/:<>?\\|]')


def portable_name(name: str) -> str:
    """Name in NFC without characters that FAT32 or Windows refuse; a long one is cut, with a hash of it at its end."""
    text = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    text = _FORBIDDEN.sub("_", text).strip(" .") or "_"
    if is_reserved(text):
        text = f"_{text}"
    return text if len(text.encode()) <= _MAX_BYTES else f"{_cut(text)}-{_digest(name)}"


def is_reserved(name: str) -> bool:
    """Whether Windows takes a file name for a device, such as "nul.gguf"."""
    return _DEVICES.fullmatch(name) is not None


def ascii_name(name: str) -> str:
    """Name in ASCII for a disk that is mounted without Unicode names; other letters become a hash."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:_MAX_BYTES]
    return f"{plain}-{_digest(name)}" if plain else f"model-{_digest(name)}"


def _cut(text: str) -> str:
    """Beginning of `text` that leaves room for the hash, in whole grapheme clusters."""
    left = _MAX_BYTES - 1 - _HASH_DIGITS
    kept = ""
    for cluster in graphemes(text):
        left -= len(cluster.encode())
        if left < 0:
            break
        kept += cluster
    return kept.rstrip(" .")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:_HASH_DIGITS]
