"""The server's cost: replies of several clients over HTTP, relative to the same replies of the engine without HTTP.

    python benchmarks/server.py [MODEL] [--clients 1 8 32] [--tokens 64] [--rounds 5]

`seallm serve` is a process of its own; clients are threads that read streams of chat completions. The engine's
replies are `SeaLLM.stream` in threads of one process, in turns with the server. Prints aggregate tokens a second and
the time to the first token, medians with the lowest and highest, and their ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from transfer import spread

from seallm_edge import SeaLLM
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
    arguments = parser.parse_args()
    path = locate(arguments.model)
    command = [Path(sys.executable).with_name("seallm"), "serve", "--port", "0", "--model", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout
        url = process.stdout.readline().strip()
        with SeaLLM(path) as llm:
            for n_clients in arguments.clients:
                compare(n_clients, arguments.rounds, over_http(url, arguments.tokens), engine(llm, arguments.tokens))
    finally:
        process.terminate()
        process.wait()


def compare(n_clients: int, rounds: int, http: Callable[[str], Times], own: Callable[[str], Times]) -> None:
    """Print both, and their ratios."""
    figures: dict[str, Figures] = {"HTTP": {}, "engine": {}}
    for turn in range(rounds + 1):
        for name, reply in (("HTTP", http), ("engine", own)):
            found = at_once(n_clients, reply)
            if turn:  # the first is a warm-up
                for figure, value in found.items():
                    figures[name].setdefault(figure, []).append(value)
    print(f"\n{n_clients} clients")
    for figure in figures["HTTP"]:
        http_values, own_values = figures["HTTP"][figure], figures["engine"][figure]
        ratio = statistics.median(http_values) / statistics.median(own_values)
        print(f"  {figure:28} HTTP {spread(http_values, '.3g')}, engine {spread(own_values, '.3g')}: {ratio:.2f}")
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
                written = (chunk["usage"] or {}).get("completion_tokens", written)
        return Times(written, first)

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
