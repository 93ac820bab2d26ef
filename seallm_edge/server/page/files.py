"""Files of the page: read once, served by name from memory. No part of a request becomes a path."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPES = {
    "html": "text/html",
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}
INDEX = "index.html"
# Nothing comes from elsewhere, nothing runs that is not a file of ours, and no text becomes HTML.
SECURITY = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types seallm",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class PageFile:
    """File of the page, with the tag by which a browser knows its own copy."""

    data: bytes
    media_type: str
    tag: str


@cache
def page_files() -> Mapping[str, PageFile]:
    """Files by name."""
    found = {}
    for one in resources.files(__package__).joinpath("static").iterdir():
        media_type = MEDIA_TYPES.get(one.name.rpartition(".")[2])
        if media_type:
            found[one.name] = page_file(one.read_bytes(), media_type)
    return found


def page_file(data: bytes, media_type: str) -> PageFile:
    """File of the page with these bytes."""
    return PageFile(data, media_type, f'"{hashlib.sha256(data).hexdigest()[:20]}"')


def file_response(request: Request, file: PageFile) -> Response:
    """Response with a file, or 304 where the browser has it. It asks again each time: an update is seen at once."""
    headers = {**SECURITY, "Cache-Control": "no-cache", "ETag": file.tag, "Service-Worker-Allowed": "/"}
    if file.tag in (tag.strip() for tag in request.headers.get("if-none-match", "").split(",")):
        return Response(None, 304, headers)
    return Response(file.data, 200, headers, media_type=file.media_type)


def wants_page(request: Request) -> bool:
    """Whether a request for `/` comes from a browser, and not from a client of Ollama's."""
    return "text/html" in request.headers.get("accept", "")
