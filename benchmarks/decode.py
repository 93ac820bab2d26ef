"""Decode speed of `SeaLLM.stream`, as a ratio to a bare llama_decode loop and to llama-cpp-python's own chat.

    python benchmarks/decode.py [MODEL ...] [--rounds 15] [--tokens 128]

MODEL is a catalogue name or a GGUF; default: the demo model. The three run interleaved in one process, with the same
threads, context and sampling; each round gives a ratio, and the median counts. The bare loop decodes and never
samples. Prefill is not timed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable

from engine import bare_seconds

from seallm_edge import SeaLLM
from seallm_edge.native.backends import load_backends
from seallm_edge.store import locate

CONTEXT = 2048
MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {
        "role": "user",
        "content": "Write a very long story about a fisherman and the sea. Do not stop early.",
    },
]


def main() -> None:
    """Print one table a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["smollm2-135m-instruct"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tokens", type=int, default=128)
    arguments = parser.parse_args()
    for model in arguments.models:
        compare(model, arguments.rounds, arguments.tokens)


def compare(model: str, rounds: int, n_tokens: int) -> None:
    """Run the three interleaved, and print medians."""
    with SeaLLM(model, drafting="off", context=CONTEXT) as llm:
        contenders = {"bare loop": bare(llm, n_tokens), "stream": ours(llm, n_tokens), "llama_cpp": peer(llm, n_tokens)}
        for run in contenders.values():
            run()
        seconds = {name: [] for name in contenders}
        order = random.Random(0)  # random, so that effects of the order cancel
        for _ in range(rounds):
            for name in order.sample(list(contenders), len(contenders)):
                seconds[name].append(contenders[name]())
        print(
            f"\n{llm.name} {llm.header.file_type_name}, {llm.plan.threads} threads, variant {load_backends().variant}"
        )
    for name, taken in seconds.items():
        print(f"  {name:10} {n_tokens / statistics.median(taken):7.2f} tokens/s")
    for name, other in (("bare loop", "bare loop"), ("llama_cpp", "create_chat_completion(stream=True)")):
        ratios = [b / a for a, b in zip(seconds["stream"], seconds[name], strict=True)]
        print(f"  stream / {other}: {statistics.median(ratios):.3f} (from {min(ratios):.3f} to {max(ratios):.3f})")


def bare(llm: SeaLLM, n_tokens: int) -> Callable[[], float]:
    """Seconds of a bare loop of llama_decode, one token a step; in the context that `stream` uses, because the location
    of its buffers in memory changes the speed by some percent.
    """
    prompt = llm._read(MESSAGES)[0]  # the prompt of the other two
    return lambda: bare_seconds(llm, [prompt], n_tokens)


def ours(llm: SeaLLM, n_tokens: int) -> Callable[[], float]:
    """Seconds of `stream` for the same number of tokens: one decode step fewer than tokens, as above."""

    def run() -> float:
        reply = llm.stream(MESSAGES, seed=1, max_tokens=n_tokens).read()
        assert reply.finish_reason == "length", "the model ended its reply early: the rounds do not compare"
        return reply.timings.total_seconds - reply.timings.prefill_seconds

    return run


def peer(llm: SeaLLM, n_tokens: int) -> Callable[[], float]:
    """Seconds of llama-cpp-python's chat for the same number of tokens, from its first text on."""
    from llama_cpp import Llama

    other = Llama(
        str(locate(llm.header.path)), n_ctx=CONTEXT, n_threads=llm.plan.threads, n_threads_batch=llm.plan.threads,
        n_batch=512, chat_format="chatml", verbose=False,
    )  # fmt: skip
    options = {
        name: getattr(llm.sampling, name) for name in ("temperature", "top_p", "top_k", "min_p", "repeat_penalty")
    }

    def run() -> float:
        started, reason = 0.0, None
        for chunk in other.create_chat_completion(MESSAGES, stream=True, seed=1, max_tokens=n_tokens, **options):
            choice = chunk["choices"][0]
            started = started or (time.perf_counter() if "content" in choice["delta"] else 0.0)
            reason = choice["finish_reason"] or reason
        assert reason == "length", "the peer ended its reply early: the rounds do not compare"
        return time.perf_counter() - started

    return run


if __name__ == "__main__":
    main()
