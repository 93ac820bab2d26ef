"""Headers of a request to a share: which bytes are asked for, and whether its Host is this computer."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


def is_one_range(wanted: str) -> bool:
    """Whether a Range header asks for one range of bytes; several are answered with the whole file."""
    found = _RANGE.fullmatch(wanted.strip())
    return found is not None and found[0] != "bytes=-"


def span_of(wanted: str, size: int) -> tuple[int, int] | None:
    """First byte and end of a Range header's bytes; all of them for no range or several; None beyond the end."""
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or not is_one_range(wanted):
        return 0, size
    if not found[1]:
        return (max(0, size - int(found[2])), size) if int(found[2]) and size else None
    start, end = int(found[1]), min(int(found[2]) + 1 if found[2] else size, size)
    return (start, end) if start < end else None


def is_own_host(host: str) -> bool:
    """Whether a Host header names this computer: by an IP address, "localhost", or its own name."""
    name = re.sub(r":\d+$", "", host.strip()).strip("[]").rstrip(".").lower()
    own = socket.gethostname().lower()
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name.partition("%")[0])
        return True
    return name in ("localhost", own, f"{own}.local", own.partition(".")[0], f"{own.partition('.')[0]}.local")
