"""File sizes in words: formatted, and parsed."""

from __future__ import annotations

import re

from seallm_edge.errors import InvalidOption

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([MG])B?", re.IGNORECASE)
_UNITS = {"M": 10**6, "G": 10**9}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]?)B?(?:/s)?", re.IGNORECASE)
_RATE_UNITS = {"": 1, "K": 10**3, **_UNITS}


def readable(n_bytes: int) -> str:
    """Size for people with two decimals, such as "4.68 GB"; below 0.1 GB in MB."""
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e8 else f"{n_bytes / 1e6:.2f} MB"


def parse_size(text: str) -> int:
    """Bytes of a size such as "2G" or "700M" (powers of ten, as in llama.cpp's tool). Raises InvalidOption."""
    match = _SIZE.fullmatch(text.strip())
    n_bytes = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if n_bytes < _UNITS["M"]:
        raise InvalidOption(f"{text!r} is no size", "give one such as 2G or 700M")
    return n_bytes


def parse_rate(text: str) -> int:
    """Bytes a second of a rate such as "300K", "2M" or "1.5M/s". Raises InvalidOption."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise InvalidOption(f"{text!r} is no rate", "give one such as 300K or 2M, in bytes a second")
    return int(float(match[1]) * _RATE_UNITS[match[2].upper()])
