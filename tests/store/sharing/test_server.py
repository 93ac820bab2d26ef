"""Server of a share: files and ranges, and clients of all kinds."""

import http.client
import os
import socket
import threading
from pathlib import Path

import pytest

from seallm_edge.hub import RateLimit
from seallm_edge.store.sharing import server
from seallm_edge.store.sharing.server import Transfer
from support.shares import answers, asked, ended, eventually, port_of, serving, stored
from support.stores import sha256, write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return stored(tmp_path, "mine")


def test_file_comes_whole_in_ranges_and_as_head(model: Path) -> None:
    content = model.read_bytes()
    with serving(model) as running:
        path = "/local/mine/resolve/main/mine.gguf"
        status, headers, body = asked(running, path)
        assert (status, body) == (200, content)
        assert headers["ETag"] == headers["X-Linked-Etag"] == f'"{sha256(model)}"'
        assert headers["X-Linked-Size"] == headers["Content-Length"] == str(len(content))
        assert headers["X-Repo-Commit"] == running.repositories[0].commit
        status, headers, body = asked(running, path, Range="bytes=1000-1999")
        assert (status, body) == (206, content[1000:2000])
        assert headers["Content-Range"] == f"bytes 1000-1999/{len(content)}"
        status, headers, body = asked(running, path, Range=f"bytes={len(content)}-")
        assert (status, headers["Content-Range"], body) == (416, f"bytes */{len(content)}", b"")
        status, headers, body = asked(running, path, "HEAD")
        assert (status, headers["Content-Length"], body) == (200, str(len(content)), b"")
        assert asked(running, path, Range="bytes=5-9", If_Range='"other"')[0] == 200
        assert asked(running, path, Range="bytes=5-9", If_Range=f'"{sha256(model)}"')[0] == 206


def test_connection_serves_several_requests(model: Path) -> None:
    with serving(model) as running:
        connection = http.client.HTTPConnection("127.0.0.1", port_of(running), timeout=10)
        for _ in range(3):
            connection.request("GET", "/local/mine/resolve/main/mine.gguf", headers={"Range": "bytes=0-3"})
            assert connection.getresponse().read() == b"GGUF"
        connection.close()


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/local/other/resolve/main/mine.gguf", 404, "RepoNotFound"),
        ("/local/mine/resolve/v2/mine.gguf", 404, "RevisionNotFound"),
        ("/local/mine/resolve/main/index.json", 404, "EntryNotFound"),
        ("/local/mine/resolve/main/../index.json", 404, "EntryNotFound"),
        ("/local/mine/resolve/main/%2e%2e/index.json", 404, "EntryNotFound"),
        ("/local/mine/resolve/main//etc/passwd", 404, "EntryNotFound"),
        ("/local/mine/resolve/main/%00", 404, "EntryNotFound"),
        ("/etc/passwd", 404, "EntryNotFound"),
        ("/api/models/local/other", 404, "RepoNotFound"),
        ("/api/models/local/mine/revision/v2", 404, "RevisionNotFound"),
        ("/api/whoami-v2", 404, "EntryNotFound"),
    ],
)
def test_only_what_is_listed_is_served(path: str, status: int, code: str, model: Path) -> None:
    with serving(model) as running:
        found, headers, body = asked(running, path)
        assert (found, headers["X-Error-Code"], body) == (status, code, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_written(method: str, model: Path) -> None:
    with serving(model) as running:
        status, headers, _ = asked(running, "/local/mine/resolve/main/mine.gguf", method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_name_of_another_host_is_refused(model: Path) -> None:
    with serving(model) as running:
        status, headers, _ = asked(running, "/", Host="evil.example")
        assert (status, headers["X-Error-Code"]) == (403, "UnknownHost")
        assert asked(running, "/", Host="localhost:8976")[0] == 200


def test_file_that_was_written_to_is_not_served(model: Path) -> None:
    with serving(model) as running:
        with model.open("r+b") as file:
            file.seek(-10, 2)
            file.write(bytes(10))
        assert asked(running, "/local/mine/resolve/main/mine.gguf")[0] == 410


def test_transfers_are_told_with_what_was_sent(model: Path) -> None:
    told: list[Transfer] = []
    came = threading.Event()

    def tell(transfer: Transfer) -> None:
        told.append(transfer)
        came.set()

    with serving(model, on_transfer=tell) as running:
        asked(running, "/local/mine/resolve/main/mine.gguf", Range="bytes=0-99")
        assert came.wait(10)
    assert [(one.client, one.file, one.sent, one.asked, one.is_whole) for one in told] == [
        ("127.0.0.1", "mine.gguf", 100, 100, True)
    ]


def test_client_that_sends_nothing_or_rubbish_stops_nobody(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_MAX_OF_ADDRESS", 40)
    with serving(model) as running:
        others = []
        for words in [b"", b"GET", b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\nX: " + b"y" * 9000, b"\r\n" * 20] * 4:
            other = socket.create_connection(("127.0.0.1", port_of(running)), timeout=10)
            other.sendall(words)
            others.append(other)
        assert asked(running, "/")[0] == 200
        for other in others:
            other.close()


def test_head_that_is_too_long_or_too_slow_ends_the_connection(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_HEAD_SECONDS", 0.3)
    with serving(model) as running:
        for words in (b"GET / HTTP/1.1\r\nX: " + b"y" * (20 << 10), b"GET / HTTP/1.1\r\n"):
            with socket.create_connection(("127.0.0.1", port_of(running)), timeout=10) as other:
                other.sendall(words)
                assert ended(other)


def test_connections_of_one_address_are_limited(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_MAX_OF_ADDRESS", 3)
    with serving(model) as running:
        held = [socket.create_connection(("127.0.0.1", port_of(running)), timeout=10) for _ in range(3)]
        for one in held:
            one.sendall(b"GET /")
        with socket.create_connection(("127.0.0.1", port_of(running)), timeout=10) as fourth:
            assert ended(fourth)
        for one in held:
            one.close()
        assert eventually(lambda: answers(running))


def test_client_that_goes_away_is_told_as_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_model(tmp_path / "large.gguf")
    os.truncate(path, path.stat().st_size)
    told: list[Transfer] = []
    limit = RateLimit(20_000)
    with serving(path, on_transfer=told.append, limit=limit) as running:
        with socket.create_connection(("127.0.0.1", port_of(running)), timeout=10) as client:
            client.sendall(b"GET /local/large/resolve/main/large.gguf HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(10)
        assert eventually(lambda: bool(told))
    assert not told[0].is_whole


def test_limited_share_sends_the_same_bytes(model: Path) -> None:
    with serving(model, limit=RateLimit(5_000_000)) as running:
        assert asked(running, "/local/mine/resolve/main/mine.gguf")[2] == model.read_bytes()
