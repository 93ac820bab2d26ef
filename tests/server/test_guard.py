"""Who may call, from where, and how much: over real sockets."""

from __future__ import annotations

import socket
import time

import pytest

from seallm_edge.errors import InvalidOption
from seallm_edge.server import ServerSettings
from seallm_edge.server.guard import is_loopback, is_own
from support.served import Served, scripted

CHAT = {"messages": [{"role": "user", "content": "Halo"}]}
KEY = "open-sesame-1234"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:11435", True), ("localhost", True), ("localhost:1", True), ("[::1]:80", True), ("LOCALHOST.", True),
        ("192.168.1.7:11435", True), ("attacker.example", False), ("127.0.0.1.attacker.example", False), ("", False),
        ("localhost@attacker.example", False), ("[::1", False), ("attacker.example:127", False),
    ],
)  # fmt: skip
def test_a_host_is_an_address_or_an_own_name(host: str, expected: bool) -> None:
    assert is_own(host, {"localhost"}) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost:3000", True), ("127.9.9.9", True), ("[::1]:3000", True), ("192.168.1.7", False), ("8.8.8.8", False)],
)
def test_a_page_of_another_computer_is_no_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_a_foreign_host_is_refused_in_each_protocols_form() -> None:
    with scripted("Halo!") as served:
        foreign = {"Host": "attacker.example"}
        status, body = served.json("POST", "/v1/chat/completions", CHAT, foreign)
        assert (status, body["error"]["type"]) == (403, "permission_error")
        assert body["error"]["message"] == "this server is not 'attacker.example'"
        status, body = served.json("GET", "/api/tags", headers=foreign)
        assert (status, body) == (403, {"error": "this server is not 'attacker.example'"})
        status, body = served.json("POST", "/v1/messages", {}, foreign)
        assert (status, body["type"], body["error"]["type"]) == (403, "error", "permission_error")


def test_a_container_names_this_computer_its_own_way() -> None:
    with scripted() as served:
        assert served.request("GET", "/health", headers={"Host": "host.docker.internal:11435"})[0] == 200
        assert served.request("GET", "/health", headers={"Host": "docker.internal"})[0] == 403


def test_only_pages_of_this_computer_and_allowed_ones_may_call() -> None:
    settings = ServerSettings(port=0, origins=("https://chat.example",))
    with scripted(*["Halo!"] * 9, settings=settings) as served:
        for origin in ("http://localhost:3000", "http://127.0.0.1:5173", "https://chat.example", served.url):
            status, headers, _ = served.request("POST", "/v1/chat/completions", CHAT, {"Origin": origin})
            assert (status, headers["access-control-allow-origin"], headers["vary"]) == (200, origin, "Origin")
        for origin in ("https://attacker.example", "null", "http://8.8.8.8", "http://localhost.attacker.example"):
            status, headers, _ = served.request("POST", "/v1/chat/completions", CHAT, {"Origin": origin})
            assert (status, "access-control-allow-origin" in headers) == (403, False)


def test_a_preflight_is_answered_without_a_key_and_without_private_network() -> None:
    with scripted(settings=ServerSettings(port=0, key=KEY)) as served:
        asked = {
            "Origin": "http://localhost:3000",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Private-Network": "true",
        }
        status, headers, _ = served.request("OPTIONS", "/v1/chat/completions", headers=asked)
        assert status == 204
        assert "content-length" not in headers  # nor a body, which h11 refuses
        assert headers["access-control-allow-methods"] == "GET, POST, PATCH, DELETE, OPTIONS"
        assert "access-control-allow-private-network" not in headers


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}])
def test_the_key_opens(headers: dict[str, str]) -> None:
    with scripted("Halo!", settings=ServerSettings(port=0, key=KEY)) as served:
        assert served.json("POST", "/v1/chat/completions", CHAT, headers)[0] == 200


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({}, "there is no key"), ({"Authorization": "Bearer wrong"}, "the key is wrong"),
        ({"x-api-key": KEY[:-1]}, "the key is wrong"), ({"Authorization": f"Basic {KEY}"}, "there is no key"),
    ],
)  # fmt: skip
def test_a_missing_or_wrong_key_is_refused(headers: dict[str, str], problem: str) -> None:
    with scripted("Halo!", settings=ServerSettings(port=0, key=KEY)) as served:
        status, found, _ = served.request("POST", "/v1/chat/completions", CHAT, headers)
        assert (status, found["www-authenticate"]) == (401, "Bearer")
        body = served.json("GET", "/v1/models", headers=headers)[1]
        assert body["error"]["message"] == f"{problem}; send Authorization: Bearer KEY, or x-api-key: KEY"
        assert served.json("GET", "/health")[0] == 200


def test_other_computers_need_a_key() -> None:
    with pytest.raises(InvalidOption, match="can be reached by other computers, and there is no key"):
        ServerSettings(host="0.0.0.0")
    assert not ServerSettings(host="0.0.0.0", key=KEY).is_local


def test_a_large_body_is_refused_before_it_is_read_and_while_it_comes() -> None:
    with scripted(settings=ServerSettings(port=0, max_body=1000)) as served:
        status, body = served.json("POST", "/v1/chat/completions", b"x" * 1001)
        assert (status, body["error"]["message"]) == (413, "the request is larger than 1,000 bytes; send less")
        with socket.create_connection(("127.0.0.1", served.port), 30) as raw:
            raw.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                + (b"1f4\r\n" + b"x" * 500 + b"\r\n") * 3
            )
            assert raw.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_slow_body_ends_with_408() -> None:
    with (
        scripted(settings=ServerSettings(port=0, body_seconds=0.3)) as served,
        socket.create_connection(("127.0.0.1", served.port), 30) as raw,
    ):
        raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        assert raw.recv(100).startswith(b"HTTP/1.1 408 ")


def test_more_requests_than_the_limit_get_503_with_retry_after() -> None:
    settings = ServerSettings(port=0, max_requests=1)
    with (
        scripted("Sampai jumpa. " * 50, "Halo!", settings=settings, delay=0.01) as served,
        socket.create_connection(("127.0.0.1", served.port), 30) as raw,
    ):
        body = b'{"stream": true, "messages": [{"role": "user", "content": "Halo"}]}'
        raw.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 200 ")
        status, headers, _ = served.request("POST", "/v1/chat/completions", CHAT)
        assert (status, headers["retry-after"]) == (503, "2")


def test_a_client_that_goes_away_makes_room_at_once() -> None:
    with scripted("Sampai jumpa. " * 5000, delay=0.01) as served:
        raw = socket.create_connection(("127.0.0.1", served.port), 30)
        body = b'{"stream": true, "messages": [{"role": "user", "content": "Halo"}]}'
        raw.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        raw.recv(100)
        assert served.app.n_requests == 1
        raw.close()
        deadline = time.monotonic() + 20
        while served.app.n_requests and time.monotonic() < deadline:
            time.sleep(0.01)
        assert served.app.n_requests == 0


def test_thousands_of_broken_requests_get_an_answer_or_a_closed_connection() -> None:
    import random

    dice = random.Random(7)
    good = (
        b'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70\r\n\r\n'
        b'{"messages": [{"role": "user", "content": "Halo"}], "max_tokens": 1000}'
    )  # fmt: skip
    with scripted(*["Halo!"] * 2000) as served:
        for _ in range(1000):
            broken = bytearray(good)
            for _ in range(dice.randint(1, 6)):
                broken[dice.randrange(len(broken))] = dice.randrange(256)
            with socket.create_connection(("127.0.0.1", served.port), 30) as raw:
                raw.sendall(bytes(broken))
                raw.shutdown(socket.SHUT_WR)
                answer = raw.recv(200)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 "), bytes(broken)
            assert not answer.startswith(b"HTTP/1.1 500"), bytes(broken)
        assert served.json("GET", "/health") == (200, {"status": "ok"})


def test_deep_json_is_refused() -> None:
    with scripted() as served:
        for body in (
            b"[" * 100_000,
            b'{"messages": ' + b"[" * 100_000,
            b"{" * 1000,
            b"\xff\xfe",
            b'{"model": "\\ud800"',
        ):
            status, found = served.json("POST", "/v1/chat/completions", body)
            assert (status, found["error"]["code"]) in ((400, "invalid_json"), (400, "invalid_type"))


def test_a_path_of_a_request_reaches_no_file() -> None:
    with scripted() as served:
        for path in ("/v1/models/../../etc/passwd", "/v1/models/%2e%2e%2fetc%2fpasswd", "/v1/models//etc/passwd"):
            status, found = served.json("GET", path)
            assert status == 404, path
            assert "root:" not in str(found)
        real = Served(ServerSettings(port=0))
        with real:
            status, found = real.json("POST", "/api/show", {"model": "/etc/passwd"})
            assert (status, found["error"]) == (404, "no model named '/etc/passwd'; see them all: GET /v1/models")
