"""Requests to the loopback hub, and what goes wrong with them on order."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """What a client asked for: of the "hub" or the "cdn", the path, its Range, whether it sent a token."""

    place: str
    path: str
    range: str | None
    authorized: bool


@dataclass
class Trouble:
    """What goes wrong with the next `times` requests whose path contains `on`.

    With `status` the answer is that, with `headers` and `body`; otherwise it is the right one, with `headers` over its
    own (None leaves one out). `drop_after` closes the connection after so many bytes, `stall_after` goes silent;
    `silent` does not answer; `flip` changes the byte at that offset of the file on its way.
    """

    on: str = ""
    times: int = 1
    status: int = 0
    headers: dict[str, str | None] = field(default_factory=dict)
    body: bytes = b""
    drop_after: int | None = None
    stall_after: int | None = None
    silent: bool = False
    ignore_range: bool = False
    flip: int | None = None
