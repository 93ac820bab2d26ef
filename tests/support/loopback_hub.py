"""A hub on loopback that speaks the protocol of huggingface.co, and misbehaves on order.

Its files are a folder's; large ones are redirected to a second server, as the hub does to its storage.
ref: https://huggingface.co/docs/hub/api, and the requests of huggingface_hub.
"""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import json
import re
import socket
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from support.file_parts import FilePart, Text, hash_of
from support.hub_trouble import Request, Trouble

LOGIN_PAGE = {"status": 200, "headers": {"Content-Type": "text/html"}, "body": b"<html>Welcome! Log in.</html>"}
_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?")


@dataclass
class Repository:
    folder: Path
    commits: dict[str, str]
    card: dict[str, Any]
    gated: str | bool
    token: str | None
    large: str
    siblings: list[dict[str, Any]]


class LoopbackHub:
    """`url` is its address; `requests` and `sent` (file → bytes) tell what clients did.

    `bytes_per_second` limits each connection. With `plain` set to a folder, its files are at `url`/plain/NAME too.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        """With `certificate` (a PEM with its key) the hub itself is https; its storage stays http."""
        self.requests: list[Request] = []
        self.sent: Counter[str] = Counter()
        self.silenced = threading.Event()
        self.bytes_per_second = 0.0
        self.plain: Path | None = None
        self._link_generation = 0
        self.over = threading.Event()
        self._repositories: dict[str, Repository] = {}
        self._troubles: list[Trouble] = []
        self._lock = threading.Lock()
        self._servers = [_Server(self, place) for place in ("hub", "cdn")]
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._servers[0].socket = context.wrap_socket(self._servers[0].socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self._servers[0].server_port}"
        self.cdn_url = f"http://127.0.0.1:{self._servers[1].server_port}"
        self.host, self.cdn_host = (f"127.0.0.1:{server.server_port}" for server in self._servers)
        self._threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in self._servers]
        for thread in self._threads:
            thread.start()

    def add_repository(
        self,
        name: str,
        folder: Path,
        *,
        branches: tuple[str, ...] = ("main",),
        card: dict[str, Any] | None = None,
        gated: str | bool = False,
        token: str | None = None,
        large: str = "*.safetensors",
    ) -> str:
        """Serve `folder`; its commit. `gated`: files are for requests with `token` only."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        siblings = [_sibling(folder, path, large) for path in paths]
        commit = hashlib.sha1(json.dumps([name, siblings]).encode()).hexdigest()
        commits = dict.fromkeys((*branches, commit), commit)
        self._repositories[name] = Repository(folder, commits, card or {}, gated, token, large, siblings)
        return commit

    def listing(self, name: str) -> list[dict[str, Any]]:
        """What the API says of the repository's files, to be changed at will."""
        return self._repositories[name].siblings

    def trouble(self, **what: Any) -> None:
        """Order a Trouble; several are used up in turn."""
        self._troubles.append(Trouble(**what))

    def expire_links(self) -> None:
        """Make the links that were given out bad; new ones are good."""
        self._link_generation += 1

    def paths(self, place: str) -> list[str]:
        """The paths asked for, of the "hub" or the "cdn"."""
        return [request.path for request in self.requests if request.place == place]

    def ranges(self) -> list[str | None]:
        """The Range of each request to the storage."""
        return [request.range for request in self.requests if request.place == "cdn"]

    def close(self) -> None:
        """Stop; every thread has ended."""
        self.over.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def take_trouble(self, request: Request) -> Trouble:
        """The trouble that is due for a request, which is noted."""
        with self._lock:
            self.requests.append(request)
            for trouble in self._troubles:
                if trouble.on in request.path and trouble.times:
                    trouble.times -= 1
                    return trouble
        return Trouble()

    def count(self, file: str, n: int) -> None:
        """Note that `n` bytes of a file are sent."""
        with self._lock:
            self.sent[file] += n

    def find(self, name: str) -> Repository | None:
        return self._repositories.get(name)

    def link(self, name: str, file: str) -> str:
        """Where the storage has a large file."""
        return f"{self.cdn_url}/cdn/{self._link_generation}/{name}/{file}"

    def large_file(self, path: str) -> Path | None:
        """The file behind a link of the storage, None if the link has expired."""
        _, _, generation, organization, name, file = path.split("/", 5)
        if int(generation) != self._link_generation:
            return None
        return self._repositories[f"{organization}/{name}"].folder / file


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, hub: LoopbackHub, place: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub
        self.place = place

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    server: _Server
    trouble: Trouble

    def log_message(self, *_arguments: Any) -> None:
        """Nothing is printed."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, token = self.server.hub, self.headers.get("Authorization")
        path = unquote(urlsplit(self.path).path)
        self.trouble = hub.take_trouble(Request(self.server.place, path, self.headers.get("Range"), bool(token)))
        if self.trouble.silent:
            hub.silenced.set()
            hub.over.wait()
            self.close_connection = True
        elif self.trouble.status:
            self._answer(self.trouble.status, {}, self.trouble.body)
        elif self.server.place == "cdn":
            found = hub.large_file(path)
            self._content(found, {}) if found else self._answer(403, {}, b"expired")
        elif hub.plain and path.startswith("/plain/"):
            found = hub.plain / path.removeprefix("/plain/")
            self._content(found, {}) if found.is_file() else self._answer(404, {}, b"")
        elif match := _API.fullmatch(path):
            self._listing(*match.groups())
        elif match := _RESOLVE.fullmatch(path):
            self._resolve(*match.groups(), token)
        else:
            self._answer(404, {}, b"")

    def _listing(self, name: str, revision: str | None) -> None:
        repository = self.server.hub.find(name)
        commit = repository.commits.get(revision or "main") if repository else None
        if repository is None or commit is None:
            self._refuse(404 if repository else 401, "RevisionNotFound" if repository else "RepoNotFound")
            return
        facts = {"id": name, "sha": commit, "gated": repository.gated, "cardData": repository.card}
        body = json.dumps({**facts, "siblings": repository.siblings}).encode()
        self._answer(200, {"Content-Type": "application/json"}, body)

    def _resolve(self, name: str, revision: str, file: str, token: str | None) -> None:
        hub = self.server.hub
        repository = hub.find(name)
        if repository is None or revision not in repository.commits:
            self._refuse(404, "RevisionNotFound" if repository else "RepoNotFound")
        elif repository.gated and token != f"Bearer {repository.token}":
            self._refuse(403 if token else 401, "GatedRepo")
        elif not (path := repository.folder / file).is_file():
            self._refuse(404, "EntryNotFound")
        elif fnmatch.fnmatch(file, repository.large):
            linked = {"X-Linked-Size": str(path.stat().st_size), "X-Linked-Etag": f'"{hash_of(path, "sha256")}"'}
            location = hub.link(name, file)
            commit = {"X-Repo-Commit": repository.commits[revision]}
            self._answer(302, {"Location": location, **linked, **commit}, b"")
        else:
            self._content(path, {"X-Repo-Commit": repository.commits[revision]})

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, {"X-Error-Code": code, "X-Error-Message": f"it is {code}"}, b"")

    def _content(self, path: Path, headers: dict[str, str]) -> None:
        size = path.stat().st_size
        headers |= {"ETag": f'"{hash_of(path, "sha1")}"', "Accept-Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            packed = gzip.compress(path.read_bytes())
            self._answer(200, headers | {"Content-Encoding": "gzip"}, packed, path.name)
        elif wanted is None or self.trouble.ignore_range:
            self._answer(200, headers, FilePart(path, 0, size, self.trouble.flip), path.name)
        else:
            self._part(path, *wanted.groups(), headers)

    def _part(self, path: Path, start: str, end: str, headers: dict[str, str]) -> None:
        size = path.stat().st_size
        first, last = int(start), min(int(end or size), size - 1)
        if first > last:
            self._answer(416, {"Content-Range": f"bytes */{size}"}, b"")
            return
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        self._answer(206, headers, FilePart(path, first, last + 1, self.trouble.flip), path.name)

    def _answer(self, status: int, headers: dict[str, str], body: bytes | FilePart, file: str = "") -> None:
        body = Text(body) if isinstance(body, bytes) else body
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body)), **headers} | self.trouble.headers).items():
            if value is not None:
                self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self._send(body, file)

    def _send(self, body: Text | FilePart, file: str) -> None:
        ends = [end for end in (self.trouble.drop_after, self.trouble.stall_after) if end is not None]
        due = time.monotonic()
        for block in body.blocks(min([len(body), *ends])):
            # Counted first: the client may look as soon as it has them.
            self.server.hub.count(file, len(block))
            self.wfile.write(block)
            if file and (rate := self.server.hub.bytes_per_second):
                due += len(block) / rate
                self.server.hub.over.wait(max(0.0, due - time.monotonic()))
        if self.trouble.stall_after is not None:
            self.server.hub.silenced.set()
            self.server.hub.over.wait()
        if ends:
            self.close_connection = True
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)


def _sibling(folder: Path, path: Path, large: str) -> dict[str, Any]:
    size = path.stat().st_size
    entry: dict[str, Any] = {"rfilename": path.relative_to(folder).as_posix(), "size": size}
    entry["blobId"] = hash_of(path, "blob")
    if fnmatch.fnmatch(path.name, large):
        entry["lfs"] = {"sha256": hash_of(path, "sha256"), "size": size, "pointerSize": 135}
    return entry
