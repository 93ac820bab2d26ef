"""Step cost by the number of batch tokens, relative to one; and repacked weights against those mapped from the file.

    python benchmarks/rows.py [MODEL.gguf ...] [--rows 1 2 3 4 5 6 7 8 12 16] [--rounds 12]

Both run interleaved in one process, over 300 tokens of context, with the plan's number of threads.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from seallm_edge.loading import resolve
from seallm_edge.native.backends import load_backends
from seallm_edge.native.batch import Batch
from seallm_edge.native.context import Context
from seallm_edge.native.model import Model

DEPTH, PROMPT = 300, 128


def main() -> None:
    """Print a table a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["smollm2-135m-instruct"])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6, 7, 8, 12, 16])
    parser.add_argument("--rounds", type=int, default=12)
    arguments = parser.parse_args()
    for model in arguments.models:
        target = resolve(model)
        header, plan = target.header, target.plan
        contexts = {}
        for is_repacked in (True, False):
            weights = Model(header.path, repack=is_repacked)
            contexts[is_repacked] = Context(
                weights, n_ctx=1024, n_batch=PROMPT, n_threads=plan.threads, n_outputs=max(arguments.rows)
            )
        print(f"\n{Path(header.path).name}, {plan.threads} threads, variant {load_backends().variant}")
        compare(contexts, arguments.rows, arguments.rounds)


def compare(contexts: dict[bool, Context], counts: list[int], rounds: int) -> None:
    """Print a line for each number of batch tokens."""
    first: dict[bool, float] = {}
    print("rows   repacked, ms   as they lie, ms   ratio   against one row: repacked, as they lie")
    tokens = [n * 7919 % 40_000 for n in range(DEPTH + max(counts))]
    for context in contexts.values():
        for start in range(0, DEPTH, PROMPT // 2):
            context.decode(tokens[start : min(start + PROMPT // 2, DEPTH)], start)
    for n in counts:
        taken: dict[bool, list[float]] = {True: [], False: []}
        for i in range(rounds):
            for is_repacked in (True, False) if i % 2 else (False, True):
                taken[is_repacked].append(step(contexts[is_repacked], tokens, n))
        typical = {way: statistics.median(seconds) for way, seconds in taken.items()}
        first = first or typical
        ratio = statistics.median(b / a for a, b in zip(taken[True], taken[False], strict=True))
        print(
            f"{n:4} {typical[True] * 1e3:14.1f} {typical[False] * 1e3:17.1f} {ratio:7.2f} "
            f"{typical[True] / first[True]:26.2f} {typical[False] / first[False]:13.2f}",
            flush=True,
        )
    for is_repacked, context in contexts.items():
        context.forget(0)
        best = min(
            timed(lambda context=context: (context.decode(tokens[:PROMPT], 0), context.forget(0))) for _ in "123"
        )
        print(f"a prompt of {PROMPT} tokens, {'repacked' if is_repacked else 'as they lie'}: {best * 1e3:.0f} ms")


def step(context: Context, tokens: list[int], n: int) -> float:
    """Seconds of a step of `n` batch tokens after the context's tokens."""
    batch = Batch(PROMPT)
    batch.extend(tokens[DEPTH : DEPTH + n], DEPTH, 0, n_logits=n)
    seconds = timed(lambda: context.run(batch))
    context.forget(0, DEPTH)
    return seconds


def timed(work: object) -> float:
    """Seconds of a call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
