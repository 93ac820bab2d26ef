"""Downloads over loopback: speed beside curl's, memory, and how well a rate limit is kept.

    python benchmarks/transfer.py [speed] [memory] [limit] [--size 800] [--rounds 7] [--folder /dev/shm]

`speed`: SIZE MB from a server that only calls sendfile (or TLS's send), fetched into FOLDER in turns by `download`,
which syncs and hashes too, by curl, by curl with a sync after it, and by curl with a sync and `openssl dgst` after it,
which does the same work. The server, curl and we are processes of their own. Prints medians of rates and of ratios,
with the lowest and highest. `memory`: resident memory of a process that downloads, at its peak and in a stall.
`limit`: rates that arrive under a limit, from 20 kB/s to 20 MB/s, over one connection and over two.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from seallm_edge.hub import Network, RateLimit, Stop

OURS = """
import sys, time
from pathlib import Path
from seallm_edge.hub import download, open_url
source = open_url(sys.argv[1])
start = time.perf_counter()
download(source, Path(sys.argv[2]))
print(time.perf_counter() - start)
"""
OUR_MEMORY = """
import re, sys, threading, time
from pathlib import Path
from seallm_edge.hub import Network, download, open_url
def resident(what):
    return int(re.search(what + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
network = Network()
source = open_url(sys.argv[1], network)
stalled = []
def watch():
    seen = -1
    while seen != network.traffic.n_bytes:
        seen = network.traffic.n_bytes
        time.sleep(1)
    stalled.append(resident("VmRSS"))
    network.stop.set()
if sys.argv[3] == "stall":
    threading.Thread(target=watch, daemon=True).start()
try:
    download(source, Path(sys.argv[2]))
except Exception:
    if not stalled:
        raise
print(*stalled, resident("VmHWM"))
"""
CHUNK = 1 << 20
RATES = (20e3, 100e3, 1e6, 5e6, 20e6)  # bytes a second
LIMIT_SECONDS = 6


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", default=["speed", "memory", "limit"])
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, default=800, help="MB")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    if arguments.serve:
        serve(*arguments.serve)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        content = Path(scratch) / "content.bin"
        with content.open("wb") as file:
            for _ in range(arguments.size):
                file.write(os.urandom(10**6))
        for table in arguments.tables:
            {"speed": speed, "memory": memory, "limit": limit}[table](arguments, content)


def speed(arguments: argparse.Namespace, content: Path) -> None:
    """Our rate beside curl's, in turns."""
    out = content.with_name("out.bin")
    for scheme in ("http", "https"):
        rates: dict[str, list[float]] = {}
        with serving(content, scheme) as (url, environment):
            ways: dict[str, Callable[[], float]] = {
                "curl": lambda: timed(["curl", "-s", "-o", str(out), url], environment),
                "curl, then sync": lambda: timed(["sh", "-c", f"curl -s -o {out} {url} && sync {out}"], environment),
                "curl, then sync and openssl dgst": lambda: timed(
                    ["sh", "-c", f"curl -s -o {out} {url} && sync {out} && openssl dgst -sha256 {out}"], environment
                ),
                "ours": lambda: float(printed([sys.executable, "-c", OURS, url, str(out)], environment)),
            }
            for _ in range(arguments.rounds):
                for name, way in ways.items():
                    rates.setdefault(name, []).append(content.stat().st_size / way() / 1e6)
                    out.unlink()
        print(f"{scheme}, {arguments.size} MB into {arguments.folder}")
        for name, found in rates.items():
            print(f"  {name}: {spread(found, '.0f')} MB/s", end="")
            ratios = [ours / other for ours, other in zip(rates["ours"], found, strict=True)]
            print("" if name == "ours" else f"; ours is {spread(ratios, '.2f')} of it")


def memory(_arguments: argparse.Namespace, content: Path) -> None:
    """Resident memory of a downloading process."""
    out = content.with_name("out.bin")
    with serving(content, "https") as (url, environment):
        (peak,) = map(float, printed([sys.executable, "-c", OUR_MEMORY, url, str(out), "run"], environment).split())
        print(f"memory: {peak:.0f} MB at its peak; ", end="")
    out.unlink()
    with serving(content, "https", stall_after=content.stat().st_size // 2) as (url, environment):
        command = [sys.executable, "-c", OUR_MEMORY, url, str(out), "stall"]
        stalled, peak = map(float, printed(command, environment).split())
        print(f"{stalled:.0f} MB in a stall, {peak:.0f} MB before it")


def limit(_arguments: argparse.Namespace, content: Path) -> None:
    """Rates under a limit, of one connection and of two that share it."""
    with serving(content, "http") as (url, _):
        for rate in RATES:
            one, two = (limited(url, rate, n) for n in (1, 2))
            print(f"limit {rate / 1e3:.0f} kB/s: one connection {one / rate:.3f} of it, two together {two / rate:.3f}")


def limited(url: str, rate: float, n_connections: int) -> float:
    """Bytes a second that arrive over `n_connections` in some seconds."""
    from seallm_edge.hub import open_url

    network = Network(limit=RateLimit(rate))
    source = open_url(url, network)
    over = Stop()

    def read() -> None:
        transfer, buffer = source.transfer(0, source.size), memoryview(bytearray(CHUNK))
        with contextlib.closing(transfer):
            while not over.is_set():
                transfer.readinto(buffer)

    threads = [threading.Thread(target=read) for _ in range(n_connections)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    start, before = time.monotonic(), network.traffic.n_bytes
    time.sleep(LIMIT_SECONDS)
    found = (network.traffic.n_bytes - before) / (time.monotonic() - start)
    over.set()
    for thread in threads:
        thread.join()
    return found


@contextlib.contextmanager
def serving(content: Path, scheme: str, stall_after: int = 0) -> Iterator[tuple[str, dict[str, str]]]:
    """A server process: (URL of `content`, environment in which its certificate is trusted)."""
    pem = content.with_name("server.pem")
    if scheme == "https" and not pem.exists():
        words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
        command = [*words.split(), "-addext", "subjectAltName=DNS:localhost", "-keyout", pem, "-out", f"{pem}.crt"]
        subprocess.run(command, check=True, capture_output=True)
        pem.write_bytes(pem.read_bytes() + Path(f"{pem}.crt").read_bytes())
    facts = [content, pem if scheme == "https" else "", stall_after]
    command = [sys.executable, __file__, "--serve", *map(str, facts)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        port = int(server.stdout.readline())
        trust = dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE"), str(pem)) if scheme == "https" else {}
        yield f"{scheme}://localhost:{port}/content.bin", {**os.environ, **trust}
    finally:
        server.kill()
        server.wait()


def serve(content: str, pem: str, stall_after: str) -> None:
    """Serve `content` to every request; print the port first."""
    context = None
    if pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            connection, _ = listening.accept()
            arguments = (connection, context, Path(content), int(stall_after))
            threading.Thread(target=answer, args=arguments, daemon=True).start()


def answer(connection: socket.socket, context: ssl.SSLContext | None, content: Path, stall_after: int) -> None:
    """Answer one request for a range of `content`."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(OSError))
        file = stack.enter_context(content.open("rb"))
        talking = stack.enter_context(context.wrap_socket(connection, server_side=True) if context else connection)
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += talking.recv(1 << 12)
        size = content.stat().st_size
        found = re.search(rb"(?i)range: bytes=(\d+)-(\d*)", request)
        start, end = (int(found[1]), int(found[2] or size - 1) + 1) if found else (0, size)
        status = f"206 Partial Content\r\nContent-Range: bytes {start}-{end - 1}/{size}" if found else "200 OK"
        head = f'HTTP/1.1 {status}\r\nContent-Length: {end - start}\r\nETag: "1"\r\nConnection: close\r\n\r\n'
        talking.sendall(head.encode())
        is_stalled = 0 < stall_after < end and end - start > 1
        send(talking, file, start, stall_after if is_stalled else end)
        if is_stalled:
            threading.Event().wait()


def send(talking: socket.socket, file: BinaryIO, start: int, end: int) -> None:
    """Send the bytes of `file` from `start` to before `end`."""
    while start < end:
        if isinstance(talking, ssl.SSLSocket):
            file.seek(start)
            data = file.read(min(CHUNK, end - start))
            talking.sendall(data)
            start += len(data)
        else:
            start += os.sendfile(talking.fileno(), file.fileno(), start, end - start)


def timed(command: list[str], environment: dict[str, str]) -> float:
    """Seconds of a command."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def printed(command: list[str], environment: dict[str, str]) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout


def spread(values: list[float], form: str) -> str:
    """Median, with the lowest and highest in brackets."""
    middle, low, high = (format(value, form) for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low} to {high})"


if __name__ == "__main__":
    main()
