"""The server's cost: replies of several clients over HTTP, relative to the same replies of the engine without HTTP, and
to those of other servers.

    python benchmarks/server.py [MODEL] [--clients 1 8 32] [--tokens 64] [--rounds 5] [--llama-server NAME=PATH ...]

`seallm serve` is a process of its own; clients are threads that read streams of chat completions. The engine's replies
are `SeaLLM.stream` in threads of one process, in turns with the servers; replies that are not streamed show what
streaming costs. Each llama-server runs with as many slots as clients, 1,024 tokens each, and the same threads. Prints
aggregate tokens a second and the time to the first token, medians with the lowest and highest, and ours relative to
each.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from transfer import spread

from seallm_edge import SeaLLM
from seallm_edge.machine import this_machine
from seallm_edge.store import locate

QUESTIONS = ("Tell me about the sea.", "What is rice?", "Who was Kartini?", "Write a poem.", "Name some fruits.")
Figures = dict[str, list[float]]  # "tokens a second", "seconds to the first token"


def main() -> None:
    """Print a table for each number of clients."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="smollm2-135m-instruct")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--llama-server", nargs="+", default=[], metavar="NAME=PATH")
    arguments = parser.parse_args()
    path = locate(arguments.model).absolute()
    peers = {name: Path(program).absolute() for name, program in (one.split("=", 1) for one in arguments.llama_server)}
    with contextlib.ExitStack() as running:
        url = running.enter_context(our_server(path))
        llm = running.enter_context(SeaLLM(path))
        for n_clients in arguments.clients:
            with contextlib.ExitStack() as others:
                contestants = {
                    "ours": over_http(url, arguments.tokens),
                    "engine": engine(llm, arguments.tokens),
                    "ours, whole replies": whole_over_http(url, arguments.tokens),
                }
                for name, program in peers.items():
                    peer_url = others.enter_context(peer_server(program, path, n_clients))
                    contestants[name] = over_http(peer_url, arguments.tokens)
                compare(n_clients, arguments.rounds, contestants)


@contextlib.contextmanager
def our_server(model: Path) -> Iterator[str]:
    """URL of our server."""
    command = [Path(sys.executable).with_name("seallm"), "serve", "--port", "0", "--model", str(model)]
    with process(command, stdout=subprocess.PIPE) as ours:
        assert ours.stdout
        yield ours.stdout.readline().strip()


@contextlib.contextmanager
def peer_server(program: Path, model: Path, n_clients: int) -> Iterator[str]:
    """URL of a llama-server."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = {"-m": model, "-np": n_clients, "-c": 1024 * n_clients, "-t": this_machine().threads, "--port": port}
    command = [program, *(str(word) for setting in settings.items() for word in setting)]
    with process(command, stdout=subprocess.DEVNULL) as running:
        wait_until_ready(running, port)
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def process(command: Sequence[str | Path], stdout: int) -> Iterator[subprocess.Popen[str]]:
    """Process that ends with the block, in a folder of its own: some servers write logs where they stand."""
    with tempfile.TemporaryDirectory() as folder:
        running = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL, text=True, cwd=folder)
        try:
            yield running
        finally:
            running.terminate()
            running.wait()


def wait_until_ready(running: subprocess.Popen[str], port: int) -> None:
    """Wait until a server says that it can answer."""
    while running.poll() is None:
        with contextlib.suppress(OSError), closing(HTTPConnection("127.0.0.1", port)) as connection:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    sys.exit(f"{running.args[0]} ended with {running.returncode}")


def compare(n_clients: int, rounds: int, contestants: dict[str, Callable[[str], Times]]) -> None:
    """Print the figures of all, and ours relative to each."""
    figures: dict[str, Figures] = {name: {} for name in contestants}
    for turn in range(rounds + 1):
        for name, reply in contestants.items():
            found = at_once(n_clients, reply)
            if turn:  # the first is a warm-up
                for figure, value in found.items():
                    figures[name].setdefault(figure, []).append(value)
    print(f"\n{n_clients} clients")
    for figure, ours in figures["ours"].items():
        print(f"  {figure}: {spread(ours, '.3g')}")
        for name in list(contestants)[1:]:
            theirs = figures[name][figure]
            ratio = statistics.median(ours) / statistics.median(theirs)
            print(f"    {name:24} {spread(theirs, '.3g')}, ours ÷ theirs {ratio:.2f}")
    sys.stdout.flush()


class Times:
    """Tokens of one reply, and seconds until the first."""

    def __init__(self, n_tokens: int, first: float) -> None:
        self.n_tokens = n_tokens
        self.first = first


def at_once(n_clients: int, reply: Callable[[str], Times]) -> dict[str, float]:
    """Figures of as many replies at once."""
    questions = [f"{QUESTIONS[number % len(QUESTIONS)]} ({number})" for number in range(n_clients)]
    started = time.perf_counter()
    with ThreadPoolExecutor(n_clients) as pool:
        times = list(pool.map(reply, questions))
    seconds = time.perf_counter() - started
    return {
        "tokens a second": sum(one.n_tokens for one in times) / seconds,
        "seconds to the first token": statistics.median(one.first for one in times),
    }


def over_http(url: str, n_tokens: int) -> Callable[[str], Times]:
    """Reply to a question, over HTTP."""
    place = urlsplit(url)

    def reply(question: str) -> Times:
        messages = [{"role": "user", "content": question}]
        options = {"max_tokens": n_tokens, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}
        started = time.perf_counter()
        first, written = 0.0, 0
        with closing(HTTPConnection(place.hostname or "", place.port)) as connection:
            connection.request("POST", "/v1/chat/completions", json.dumps({"messages": messages, **options}))
            for line in connection.getresponse():
                if not line.startswith(b"data: {"):
                    continue
                chunk = json.loads(line[6:])
                if not first and any(choice["delta"].get("content") for choice in chunk["choices"]):
                    first = time.perf_counter() - started
                written = (chunk.get("usage") or {}).get("completion_tokens", written)
        return Times(written, first)

    return reply


def whole_over_http(url: str, n_tokens: int) -> Callable[[str], Times]:
    """Reply to a question, over HTTP, in one piece."""
    place = urlsplit(url)

    def reply(question: str) -> Times:
        body = {"messages": [{"role": "user", "content": question}], "max_tokens": n_tokens, "temperature": 0}
        started = time.perf_counter()
        with closing(HTTPConnection(place.hostname or "", place.port)) as connection:
            connection.request("POST", "/v1/chat/completions", json.dumps(body))
            found = json.load(connection.getresponse())
        return Times(found["usage"]["completion_tokens"], time.perf_counter() - started)

    return reply


def engine(llm: SeaLLM, n_tokens: int) -> Callable[[str], Times]:
    """Reply to a question, by the engine."""

    def reply(question: str) -> Times:
        started = time.perf_counter()
        with llm.stream(question, max_tokens=n_tokens, temperature=0) as stream:
            next(stream, "")
            first = time.perf_counter() - started
            whole = stream.read()
        return Times(whole.usage.reply_tokens, first)

    return reply


if __name__ == "__main__":
    main()
