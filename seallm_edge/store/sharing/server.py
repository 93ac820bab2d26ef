"""HTTP server of a share: read-only, a thread for each of a limited number of connections, deadlines for all of them.

Only GET and HEAD, only the listed files, and only for requests whose Host is this computer: a web page that rebinds its
name to this address (CVE-2024-28224 of another server) gets nothing.
"""

from __future__ import annotations

import contextlib
import http
import io
import json
import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from urllib.parse import unquote, urlsplit

from ...hub.patience import Stop
from ...hub.rate_limit import RateLimit
from .listing import SharedFile, SharedRepository
from .requests import is_one_range, is_own_host, span_of

_MAX_CONNECTIONS = 64
_MAX_OF_ADDRESS = 16
_MAX_HEAD = 16 << 10  # bytes of a request before its body
_HEAD_SECONDS = 15.0  # for all of a request's head, and for a TLS handshake
_IDLE_SECONDS = 30.0  # between two requests of a connection
_SEND_SECONDS = 60.0  # for a block that the other side does not take
_BLOCK = 256 << 10  # bytes
_API = re.compile(r"/api/models/([^/]+/[^/]+?)(?:/(revision|tree)/([^/]+)|/(refs))?/?")
_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass(frozen=True)
class Transfer:
    """Transfer of a file: to which address, bytes sent of those asked for, seconds, and whether all were sent."""

    client: str
    file: str
    sent: int
    asked: int
    seconds: float

    @property
    def is_whole(self) -> bool:
        """Whether everything was sent that was asked for."""
        return self.sent == self.asked


@dataclass(frozen=True)
class ShareSettings:
    """Settings of a share's server: repositories by id, TLS, the rate limit of all transfers, who is told of each."""

    repositories: Mapping[str, SharedRepository]
    tls: ssl.SSLContext | None = None
    limit: RateLimit | None = None
    on_transfer: Callable[[Transfer], None] | None = None


class ShareServer(ThreadingMixIn, TCPServer):
    """Server of a share. `serve_forever` runs until another thread calls `shutdown`; transfers end with `stop`."""

    daemon_threads = True
    block_on_close = False
    # On Windows this would let another program take the port as well.
    allow_reuse_address = not hasattr(socket, "SO_EXCLUSIVEADDRUSE")
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], settings: ShareSettings) -> None:
        """Raises OSError if the address cannot be used."""
        self.settings = settings
        self.stop = Stop()
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, ShareHandler)

    def server_bind(self) -> None:
        """Bind the address, on Windows for this program alone."""
        if (exclusive := getattr(socket, "SO_EXCLUSIVEADDRUSE", None)) is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, exclusive, 1)
        super().server_bind()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for a connection of this address."""
        with self._lock:
            if self._open.total() >= _MAX_CONNECTIONS or self._open[client_address[0]] >= _MAX_OF_ADDRESS:
                return False
            self._open[client_address[0]] += 1
            return True

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands and serve one connection, on a thread of its own."""
        connection = request
        try:
            request.settimeout(_HEAD_SECONDS)
            if self.settings.tls is not None:
                connection = self.settings.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
                _within(connection, _HEAD_SECONDS, connection.do_handshake)
            self.finish_request(connection, client_address)
        except (OSError, ValueError):  # whoever is there went away, or speaks no HTTP or TLS
            pass
        finally:
            self.shutdown_request(connection)
            with self._lock:
                self._open[client_address[0]] -= 1


class ShareHandler(BaseHTTPRequestHandler):
    """Requests of one connection."""

    server: ShareServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "seallm", ""

    def handle_one_request(self) -> None:
        """Read the head of a request within its deadline, and answer it."""
        head = self._read_head()
        if head is None:
            self.close_connection = True
            return
        self.rfile = io.BufferedReader(io.BytesIO(head))
        self.raw_requestline = self.rfile.readline(_MAX_HEAD + 1)
        if not self.parse_request():
            return
        self.connection.settimeout(_SEND_SECONDS)
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # its body is never read
        if self.command not in ("GET", "HEAD"):
            self._refuse(405, "MethodNotAllowed", {"Allow": "GET, HEAD"})
        elif not is_own_host(self.headers.get("Host", "")):
            self._refuse(403, "UnknownHost")
        else:
            self._route(unquote(urlsplit(self.path).path, errors="replace"))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it
        """Nothing is logged but transfers."""

    def _read_head(self) -> bytes | None:
        """Bytes up to the blank line; None at the end of the connection, or for one that is too long or too slow."""
        head = b""
        deadline = time.monotonic() + _IDLE_SECONDS
        while b"\r\n\r\n" not in head:
            left = deadline - time.monotonic()
            if left <= 0 or len(head) > _MAX_HEAD or self.server.stop.is_set():
                return None
            self.connection.settimeout(left)
            try:
                received = self.connection.recv(_MAX_HEAD)
            except OSError:
                return None
            if not received:
                return None
            if not head:
                deadline = time.monotonic() + _HEAD_SECONDS
            head += received
        return head

    def _route(self, path: str) -> None:
        shared = self.server.settings.repositories
        if path == "/":
            self._send_json({"seallm": "share", "models": sorted(shared)})
        elif path.rstrip("/") == "/api/models":
            self._send_json([repository.info() for _, repository in sorted(shared.items())])
        elif found := _API.fullmatch(path):
            self._api(found[1], found[2] or found[4] or "", found[3] or "main")
        elif found := _RESOLVE.fullmatch(path):
            self._resolve(found[1], found[2], found[3])
        else:
            self._refuse(404, "EntryNotFound")

    def _api(self, name: str, kind: str, revision: str) -> None:
        repository = self._repository(name, revision)
        if repository is not None:
            listings = {"tree": repository.tree, "refs": repository.refs}
            self._send_json(listings.get(kind, repository.info)())

    def _resolve(self, name: str, revision: str, file: str) -> None:
        repository = self._repository(name, revision)
        if repository is None:
            return
        if file not in repository.files:
            self._refuse(404, "EntryNotFound")
        elif not repository.files[file].is_as_listed:
            self._refuse(410, "EntryChanged")
        else:
            self._send_file(repository, repository.files[file])

    def _repository(self, name: str, revision: str) -> SharedRepository | None:
        repository = self.server.settings.repositories.get(name)
        if repository is None or not repository.has_revision(revision):
            self._refuse(404, "RevisionNotFound" if repository else "RepoNotFound")
            return None
        return repository

    def _send_file(self, repository: SharedRepository, file: SharedFile) -> None:
        etag = f'"{file.sha256}"'
        headers = {"ETag": etag, "X-Linked-Etag": etag, "X-Linked-Size": str(file.size), "Accept-Ranges": "bytes",
                   "X-Repo-Commit": repository.commit, "Content-Type": "application/octet-stream"}  # fmt: skip
        wanted = self.headers.get("Range", "") if self.headers.get("If-Range", etag) == etag else ""
        span = span_of(wanted, file.size)
        if span is None:
            self._refuse(416, "RangeNotSatisfiable", {"Content-Range": f"bytes */{file.size}"})
            return
        start, end = span
        if is_one_range(wanted):
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        self._send_head(206 if "Content-Range" in headers else 200, headers, end - start)
        if self.command == "GET":
            self._send_content(file, start, end)

    def _send_content(self, file: SharedFile, start: int, end: int) -> None:
        began, sent = time.monotonic(), 0
        try:
            with file.path.open("rb", buffering=0) as opened:
                opened.seek(start)
                for n in self._sent_blocks(opened, end - start):
                    sent += n
        except OSError:
            pass
        if sent < end - start:
            self.close_connection = True
        if told := self.server.settings.on_transfer:
            told(Transfer(self.client_address[0], file.name, sent, end - start, time.monotonic() - began))

    def _sent_blocks(self, file: Any, left: int) -> Iterator[int]:
        """Send `left` bytes: the number of bytes of each block that was sent. Raises OSError."""
        limit, stop = self.server.settings.limit, self.server.stop
        buffer = memoryview(bytearray(_BLOCK))
        is_plain = not isinstance(self.connection, ssl.SSLSocket) and limit is None
        while left and not stop.is_set():
            n = min(left, _BLOCK if not is_plain else 64 * _BLOCK)
            if limit is not None:
                n = limit.grant(n, stop)
            if is_plain:
                n = self.connection.sendfile(file, file.tell(), n)
            else:
                n = file.readinto(buffer[:n])
                self.connection.sendall(buffer[:n])
            if not n:
                return
            left -= n
            yield n

    def _send_json(self, value: Any) -> None:
        body = json.dumps(value, ensure_ascii=False).encode()
        self._send_head(200, {"Content-Type": "application/json"}, len(body))
        if self.command == "HEAD":
            return
        self.connection.sendall(body)

    def _refuse(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
        message = http.HTTPStatus(status).phrase
        self._send_head(status, {"X-Error-Code": code, "X-Error-Message": message, **(headers or {})}, 0)

    def _send_head(self, status: int, headers: Mapping[str, str], length: int) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(key, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


def _within(connection: socket.socket, seconds: float, act: Callable[[], None]) -> None:
    """Run `act` on a connection; it is cut off after `seconds` in all, however slowly bytes come."""
    timer = threading.Timer(seconds, lambda: _cut(connection))
    timer.daemon = True
    timer.start()
    try:
        act()
    finally:
        timer.cancel()


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
