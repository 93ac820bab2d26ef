"""The server under abuse, and over a day: statuses, memory, and what other users get meanwhile.

    python benchmarks/server_abuse.py [--model MODEL] [--idle 1000] [--day 600] [--clients 4]

`seallm serve` is a process of its own. One client asks for a short reply every second while, in turn: idle connections
are opened and kept, request heads come a byte at a time, bodies of 1 GB are sent (with their length, and in chunks),
JSON is nested 100,000 deep, 10,000 requests have some bytes changed. Then a day's use in `--day` seconds: clients chat,
stream, leave midway, list models and send wrong requests. Prints the statuses of each abuse, the seconds that the
polite client waited, and the memory of the server, without what its prefix cache holds, with time; its KV cache is
filled before.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import psutil

PATH = "/v1/chat/completions"
GIGABYTE = 1 << 30
SLOW_HEADS = 200
N_MUTATED = 10_000


def main() -> None:
    """Print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--idle", type=int, default=1000)
    parser.add_argument("--day", type=float, default=600.0)
    parser.add_argument("--clients", type=int, default=4)
    arguments = parser.parse_args()
    command = [str(Path(sys.executable).with_name("seallm")), "serve", "--port", "0", "--model", arguments.model]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout
        place = urlsplit(process.stdout.readline().strip())
        server = Server(place.hostname or "", place.port or 0, psutil.Process(process.pid))
        server.chat("rice " * 7000, max_tokens=1)  # touches the KV cache once
        abuses: dict[str, Callable[[], Counter[str]]] = {
            "nothing": lambda: quiet(),
            f"{arguments.idle} idle connections": lambda: idle(server, arguments.idle),
            f"{SLOW_HEADS} heads, a byte at a time": lambda: slow_heads(server),
            "bodies of 1 GB with their length": lambda: large_bodies(server, is_chunked=False),
            "bodies of 1 GB in chunks": lambda: large_bodies(server, is_chunked=True),
            "JSON nested 100,000 deep": lambda: deep(server),
            f"{N_MUTATED:,} mutated requests": lambda: mutated(server),
        }
        for name, abuse in abuses.items():
            with server.polite_client() as waits:
                found = abuse()
            print(f"{name:36} {dict(found)}; {shown(waits)}; {server.own_megabytes:.0f} MB", flush=True)
        day(server, arguments.day, arguments.clients)
    finally:
        process.terminate()
        process.wait()


def shown(waits: list[float]) -> str:
    """What the polite client waited."""
    return f"others waited {statistics.median(waits):.2f} s, at most {max(waits):.2f}" if waits else "others: no reply"


class Server:
    """Server under test."""

    def __init__(self, host: str, port: int, process: psutil.Process) -> None:
        self.place = (host, port)
        self._process = process

    @property
    def megabytes(self) -> float:
        """Memory of the process."""
        return float(self._process.memory_info().rss / 1e6)

    @property
    def own_megabytes(self) -> float:
        """Memory of the process without the KV states of earlier conversations."""
        return self.megabytes - self.cached_megabytes

    @property
    def cached_megabytes(self) -> float:
        """KV states of earlier conversations, kept in memory up to a limit."""
        with contextlib.closing(HTTPConnection(*self.place, timeout=120)) as connection:
            connection.request("GET", "/slots")
            return sum(float(one["host_cache_bytes"]) for one in json.load(connection.getresponse())) / 1e6

    def chat(self, text: str, max_tokens: int) -> int:
        """Status of a chat."""
        body = {"messages": [{"role": "user", "content": text}], "max_tokens": max_tokens, "temperature": 0}
        return self.request("POST", PATH, json.dumps(body).encode())

    def request(self, method: str, path: str, body: bytes | None = None) -> int:
        """Status of a request."""
        with contextlib.closing(HTTPConnection(*self.place, timeout=120)) as connection:
            connection.request(method, path, body)
            response = connection.getresponse()
            response.read()
            return response.status

    def connect(self) -> socket.socket:
        """New connection."""
        return socket.create_connection(self.place, 60)

    @contextlib.contextmanager
    def polite_client(self) -> Iterator[list[float]]:
        """Client that asks every second; seconds that it waited for each reply."""
        waits: list[float] = []
        is_over = threading.Event()

        def ask() -> None:
            while not is_over.wait(1.0) or not waits:
                started = time.perf_counter()
                if self.chat("What is rice?", max_tokens=4) == 200:
                    waits.append(time.perf_counter() - started)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield waits
        finally:
            is_over.set()
            thread.join()


def quiet() -> Counter[str]:
    """No abuse."""
    time.sleep(5)
    return Counter()


def idle(server: Server, n: int) -> Counter[str]:
    """Connections on which nothing is sent, until the server closes them."""
    connections = [server.connect() for _ in range(n)]
    return Counter(answer_on(connection) for connection in connections)


def slow_heads(server: Server) -> Counter[str]:
    """Heads of requests that never end."""
    connections = [server.connect() for _ in range(SLOW_HEADS)]
    ends = Counter()
    for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40:
        for connection in list(connections):
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                ends["closed"] += 1
                connections.remove(connection)
        time.sleep(0.5)
    return ends + Counter(answer_on(connection) for connection in connections)


def large_bodies(server: Server, *, is_chunked: bool) -> Counter[str]:
    """Four bodies of 1 GB."""
    ends: Counter[str] = Counter()
    block = b"x" * (1 << 20)
    length = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % GIGABYTE
    for _ in range(4):
        connection = server.connect()
        connection.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n" % (PATH.encode(), length))
        try:
            for _block in range(GIGABYTE >> 20):
                connection.sendall(b"%x\r\n%s\r\n" % (len(block), block) if is_chunked else block)
            ends["taken whole"] += 1
        except OSError:
            ends["closed midway"] += 1
        ends[answer_on(connection)] += 1
    return ends


def deep(server: Server) -> Counter[str]:
    """JSON that nests deeper than any parser's stack."""
    bodies = [b"[" * 100_000, b'{"messages": ' + b"[" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000]
    return Counter(str(server.request("POST", PATH, body)) for body in bodies)


def mutated(server: Server) -> Counter[str]:
    """Requests with some bytes changed, the same ones in each run."""
    dice = random.Random(7)
    body = json.dumps({"messages": [{"role": "user", "content": "Halo"}], "max_tokens": 1, "stop": ["x"]}).encode()
    good = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (PATH.encode(), len(body), body)
    ends: Counter[str] = Counter()
    for _ in range(N_MUTATED):
        broken = bytearray(good)
        for _change in range(dice.randint(1, 6)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        connection = server.connect()
        connection.sendall(broken)
        connection.shutdown(socket.SHUT_WR)
        ends[answer_on(connection)] += 1
    return ends


def answer_on(connection: socket.socket) -> str:
    """Status that comes on a connection, or "closed"; the connection is closed."""
    with connection:
        try:
            data = connection.recv(100)
        except OSError:
            return "closed"
    return data.split(b" ")[1].decode() if data.startswith(b"HTTP/") else "closed"


def day(server: Server, seconds: float, n_clients: int) -> None:
    """A day's use, and the memory with time."""
    ends: Counter[str] = Counter()
    is_over = threading.Event()
    clients = [threading.Thread(target=use, args=(server, number, ends, is_over)) for number in range(n_clients)]
    for client in clients:
        client.start()
    started = time.perf_counter()
    memory = []
    while time.perf_counter() - started < seconds:
        memory.append((server.megabytes, server.cached_megabytes))
        time.sleep(min(10.0, seconds / 20))
    is_over.set()
    for client in clients:
        client.join()
    print(f"a day in {seconds:.0f} s: {dict(sorted(ends.items()))}")
    tenths = [memory[len(memory) * k // 10] for k in range(10)] + memory[-1:]
    print("  memory with time:         " + ", ".join(f"{whole:.0f}" for whole, _ in tenths) + " MB")
    print("  without the prefix cache: " + ", ".join(f"{whole - kept:.0f}" for whole, kept in tenths) + " MB")


def use(server: Server, number: int, ends: Counter[str], is_over: threading.Event) -> None:
    """One client's use."""
    chance = random.Random(number)
    while not is_over.is_set():
        text = (
            f"Tell me about {chance.choice(['rice', 'the sea', 'boats', 'rain'])} {chance.random()}. "
            * chance.randint(1, 30)
        )
        kind = chance.choices(["chat", "leave", "models", "wrong", "page"], [6, 4, 2, 2, 2])[0]
        try:
            if kind == "chat":
                ends[f"chat {server.chat(text, chance.randint(1, 60))}"] += 1
            elif kind == "leave":
                ends[leave(server, text, chance.random() * 0.5)] += 1
            elif kind == "models":
                ends[f"models {server.request('GET', '/v1/models')}"] += 1
            elif kind == "page":
                ends[f"page {server.request('GET', '/page/main.js')}"] += 1
            else:
                ends[f"wrong {server.request('POST', PATH, chance.randbytes(chance.randint(0, 2000)))}"] += 1
        except (OSError, HTTPException) as error:
            ends[type(error).__name__] += 1


def leave(server: Server, text: str, seconds: float) -> str:
    """Leave a stream midway."""
    body = json.dumps({"messages": [{"role": "user", "content": text}], "stream": True}).encode()
    with server.connect() as connection:
        head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (PATH.encode(), len(body))
        connection.sendall(head + body)
        connection.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            while connection.recv(4096):
                pass
    return "left"


if __name__ == "__main__":
    main()
