"""Soak test: a thousand mixed requests from 32 threads; reports errors, memory and cells left, and equality of replies.

    python benchmarks/soak.py [--model MODEL] [--requests 1000] [--threads 32] [--context 8192] [--compare N]

Prompts have 1 to 1,500 tokens; some readers cancel, some requests are for JSON, some must be refused. Afterwards each
greedy request runs again, alone, and its reply is compared: llama.cpp rounds differently in steps of one and of several
batch tokens, so some differ; their number is printed.
"""

from __future__ import annotations

import argparse
import json
import random
import threading
import time
from collections import Counter
from queue import Empty, SimpleQueue

import psutil

from seallm_edge import ContextOverflow, InvalidOption, SeaLLM

WORDS = ["rice", "water", "river", "boat", "morning", "market", "mother", "fish", "rain", "road", "mango", "temple"]
SYSTEMS = ["You are a helpful assistant.", "You are a cook. " * 40, "Answer in one word. " * 10]
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
KINDS = ["greedy"] * 8 + ["seeded"] * 4 + ["cancelled"] * 4 + ["schema"] * 2 + ["too long", "bad option"]


def main() -> None:
    """Run the requests and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--compare", type=int, default=1000, help="how many greedy replies to ask for again")
    arguments = parser.parse_args()
    with SeaLLM(arguments.model, context=arguments.context) as llm:
        llm.chat("hello", schema=SCHEMA, max_tokens=30)
        llm.complete("rice " * (llm.n_ctx - 100), max_tokens=1)  # touches all of the KV cache once
        soak = Soak(llm, arguments.requests)
        started = time.perf_counter()
        soak.run(arguments.threads)
        print(
            f"{arguments.requests} requests in {time.perf_counter() - started:.0f} s: {dict(sorted(soak.ends.items()))}"
        )
        print(f"wrong: {soak.wrong or 'nothing'}")
        print("after requests  memory  the prefix cache's  the rest (MB)")
        for n_done, memory, kept in soak.memory:
            print(f"{n_done:14}  {memory / 1e6:6.0f}  {kept / 1e6:18.0f}  {(memory - kept) / 1e6:8.0f}")
        soak.compare(arguments.compare)


def resident() -> int:
    """Resident bytes of this process."""
    memory = psutil.Process().memory_info()
    return memory.rss - getattr(memory, "shared", 0)


class Soak:
    """Requests and their results."""

    def __init__(self, llm: SeaLLM, n_requests: int) -> None:
        self.llm = llm
        self._n_requests = n_requests
        self.ends: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.greedy: dict[int, str] = {}
        self.memory = [self._memory(0)]
        self._numbers: SimpleQueue[int] = SimpleQueue()
        for number in range(n_requests):
            self._numbers.put(number)

    def run(self, n_threads: int) -> None:
        """Send all requests from `n_threads` threads, and wait for them."""
        threads = [threading.Thread(target=self._work) for _ in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.memory.append(self._memory(self._n_requests))

    def compare(self, most: int) -> None:
        """Run greedy requests again, one after another, and compare the replies."""
        equal, shared = 0, []
        asked = sorted(self.greedy.items())[:most]
        for number, text in asked:
            alone = self.llm.chat(messages(number), **greedy(number)).text
            equal += alone == text
            if alone != text:
                shared.append(next((i for i, (a, b) in enumerate(zip(alone, text, strict=False)) if a != b), 0))
        print(f"greedy replies that are the same alone: {equal} of {len(asked)}")
        if shared:
            print(f"the others part after {sorted(shared)[len(shared) // 2]} characters (median)")

    def _memory(self, n_done: int) -> tuple[int, int, int]:
        """(requests done, resident bytes of this process, bytes of them in the prefix cache)."""
        return n_done, resident(), self.llm.stats().host_cache_bytes

    def _work(self) -> None:
        while True:
            try:
                number = self._numbers.get_nowait()
            except Empty:
                return
            if number and number % (self._n_requests // 10) == 0:
                self.memory.append(self._memory(number))
            kind = random.Random(number).choice(KINDS)
            try:
                self.ends[f"{kind}: {self._ask(number, kind)}"] += 1
            except Exception as error:  # noqa: BLE001  any error is reported at the end
                self.wrong.append(f"{kind} {number}: {error!r}")

    def _ask(self, number: int, kind: str) -> str:
        llm, dice = self.llm, random.Random(number + 1)
        if kind == "too long":
            return refused(lambda: llm.chat("rice " * 20_000), ContextOverflow)
        if kind == "bad option":
            return refused(lambda: llm.chat("hello", temperature=-1), InvalidOption)
        if kind == "cancelled":
            stream = llm.stream(messages(number), max_tokens=200)
            threading.Timer(dice.expovariate(1), stream.cancel).start()
            return stream.read().finish_reason
        if kind == "schema":
            reply = llm.chat(messages(number), schema=SCHEMA, max_tokens=60)
            if reply.finish_reason == "stop" and set(json.loads(reply.text)) != {"name", "age"}:
                self.wrong.append(f"schema {number}: {reply.text}")
            return reply.finish_reason
        reply = llm.chat(
            messages(number), **(greedy(number) if kind == "greedy" else {"seed": number, "max_tokens": 48})
        )
        if kind == "greedy":
            self.greedy[number] = reply.text
        return reply.finish_reason


def refused(ask: object, error: type[Exception]) -> str:
    """Error of a request that must be refused."""
    try:
        ask()
    except error:
        return "refused"
    raise AssertionError("it was not refused")


def messages(number: int) -> list[dict[str, str]]:
    """Prompt of 1 to 1,500 tokens, more often short than long."""
    dice = random.Random(number)
    words = dice.choices(WORDS, k=int(1500 ** dice.random()))
    return [{"role": "system", "content": dice.choice(SYSTEMS)}, {"role": "user", "content": " ".join(words)}]


def greedy(number: int) -> dict[str, int]:
    """Sampling options of a greedy reply."""
    return {"temperature": 0, "max_tokens": random.Random(number).randrange(4, 48)}


if __name__ == "__main__":
    main()
