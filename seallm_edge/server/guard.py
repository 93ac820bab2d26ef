"""`Guard`: who may call, from where, and how much. Runs before any route.

- `Host` must name this computer, so that a web page that rebinds its name to this address gets nothing.
- `Origin`, which browsers send, must be the server's own, one of this computer, or an allowed one.
- the key, where there is one, is compared in constant time.
- bodies have a limit of bytes and of time; a reader that stops reading ends its request.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import Problem, RequestRefused, problem_of
from .settings import ServerSettings
from .wire import json_response

ErrorForm = Callable[[str, Problem], dict[str, Any]]
# Without a key: whether the server lives is no secret, nor are the files of the page, which asks for the key itself.
PUBLIC_PATHS = ("/", "/health", "/v1/health")
PUBLIC_FOLDER = "/page/"
_METHODS = "GET, POST, PATCH, DELETE, OPTIONS"
_MAX_AGE = "600"
_CONTAINER_NAMES = ("host.docker.internal", "host.containers.internal")  # of this computer, inside its containers


class Guard:
    """ASGI middleware that refuses what settings do not allow, and counts the requests under way.

    `form(path, problem)` is the body of a refusal in the protocol of a path.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, form: ErrorForm) -> None:
        self._app = app
        self._settings = settings
        self._form = form
        self._hosts = own_names(settings)
        self.n_requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        try:
            self._check(scope, headers, origin)
        except RequestRefused as refusal:
            await self._refuse(problem_of(refusal), scope, receive, send)
            return
        if scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=cors(origin, preflight=True))(scope, receive, send)
            return
        self.n_requests += 1
        try:
            limits = _Limits(self._settings, receive, send, cors(origin))
            await self._app(scope, limits.receive, limits.send)
        finally:
            self.n_requests -= 1

    def _check(self, scope: Scope, headers: Headers, origin: str | None) -> None:
        """Raises RequestRefused."""
        if not is_own(headers.get("host", ""), self._hosts):
            raise RequestRefused(403, "host_not_allowed", f"this server is not {headers.get('host', '')[:100]!r}")
        if origin is not None and not self._is_allowed(origin, headers.get("host", "")):
            raise RequestRefused(
                403, "origin_not_allowed", f"pages of {origin[:100]} may not use this server", "allow the origin"
            )
        if scope["method"] == "OPTIONS":
            return
        if self._settings.key is not None and not is_public(scope["path"]):
            check_key(headers, self._settings.key)
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdecimal() or int(length) > self._settings.max_body:
            raise _too_large(self._settings.max_body)
        if self.n_requests >= self._settings.max_requests:
            raise RequestRefused(503, "server_busy", "too many requests are under way", "try again", retry_after=2)

    def _is_allowed(self, origin: str, host: str) -> bool:
        """Whether an origin is allowed by name, is the server's own, or a page of this computer."""
        if origin in self._settings.origins:
            return True
        scheme, _, place = origin.partition("://")
        return scheme in ("http", "https") and (place == host or is_loopback(place))

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {"Connection": "close"} | retry_header(problem)
        if problem.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        await json_response(self._form(scope["path"], problem), problem.status, headers)(scope, receive, send)


class _Limits:
    """Limits of one request: bytes and seconds of its body, seconds for its reader; CORS headers of its response."""

    def __init__(self, settings: ServerSettings, receive: Receive, send: Send, headers: dict[str, str]) -> None:
        self._settings = settings
        self._receive = receive
        self._send = send
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._left = settings.max_body
        self._is_whole = False

    async def receive(self) -> Message:
        """The next message; raises RequestRefused for a body too large or too slow."""
        if self._is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                message = await self._receive()
        except TimeoutError as error:
            raise RequestRefused(408, "request_timeout", "the request did not arrive in time") from error
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _too_large(self._settings.max_body)
        self._is_whole = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a message; raises OSError if the reader does not take it in time."""
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *self._headers]}
        try:
            async with asyncio.timeout(self._settings.send_seconds):  # wait_for may swallow a cancellation
                await self._send(message)
        except TimeoutError as error:
            raise OSError("the reader of a response stopped reading") from error


def check_key(headers: Headers, key: str) -> None:
    """Compare the key of a request. Raises RequestRefused."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), key.encode()):
        what = "the key is wrong" if given else "there is no key"
        raise RequestRefused(401, "invalid_api_key", what, "send Authorization: Bearer KEY, or x-api-key: KEY")


def is_public(path: str) -> bool:
    """Whether a path needs no key."""
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_FOLDER)


def own_names(settings: ServerSettings) -> frozenset[str]:
    """Names by which a request may address this computer, besides IP addresses, which no web page can rebind."""
    names = {"localhost", *_CONTAINER_NAMES, *settings.hosts}
    if not settings.is_local:
        own = socket.gethostname().lower()
        names |= {own, own.partition(".")[0], f"{own.partition('.')[0]}.local"}
    return frozenset(name.lower() for name in names)


def is_own(host: str, names: Iterable[str]) -> bool:
    """Whether a Host (with or without port) is an IP address or one of the names."""
    name = host_name(host)
    return address_of(name) is not None or name in names


def is_loopback(host: str) -> bool:
    """Whether a host is this computer, by a name or address that only this computer can mean."""
    name = host_name(host)
    address = address_of(name)
    return name == "localhost" or bool(address and address.is_loopback)


def host_name(host: str) -> str:
    """Name or address in a host with or without port; "" where there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def address_of(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """IP address, if a name is one."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def cors(origin: str | None, *, preflight: bool = False) -> dict[str, str]:
    """Headers that let an allowed origin read the response."""
    if origin is None:
        return {}
    headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    if preflight:
        headers |= {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": "*, Authorization, Content-Type",
            "Access-Control-Max-Age": _MAX_AGE,
        }
    return headers


def retry_header(problem: Problem) -> dict[str, str]:
    """Header with the seconds until another try may pass."""
    return {"Retry-After": str(problem.retry_after)} if problem.retry_after else {}


def _too_large(most: int) -> RequestRefused:
    return RequestRefused(413, "request_too_large", f"the request is larger than {most:,} bytes", "send less")
