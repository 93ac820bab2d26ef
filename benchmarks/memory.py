"""Memory of a model: the plan's estimate, and the process's peak.

    python benchmarks/memory.py [MODEL ...] [--contexts 2048 8192] [--prompt TOKENS] [--json]
    python benchmarks/memory.py [MODEL] --chats 360

MODEL is a catalogue name or a GGUF; default: the demo model. Each row is a process of its own: it loads the model,
prefills a prompt that fills the context (or one of --prompt tokens), and decodes eight replies at once. The peak is
that of the resident set, with the file's mapped pages and Python; the prefix cache, which is not part of the estimate,
is off.

With --chats, so many prompts of 20 to 800 tokens follow one another, each a conversation of its own, with a prefix
cache of 60 MB: the memory of the process without what that cache holds, with time.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from seallm_edge import SeaLLM

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.peak_memory import in_child


def main() -> None:
    """Print a table, or with --json a list."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["smollm2-135m-instruct"])
    parser.add_argument("--contexts", type=int, nargs="+", default=[2048, 8192])
    parser.add_argument("--prompt", type=int, default=1 << 30)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--chats", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.chats:
        megabytes = ", ".join(f"{row:.0f}" for row in with_time(arguments.models[0], arguments.chats))
        print(f"memory beside the prefix cache with time: {megabytes} MB")
        return
    rows = [in_child(model, n_ctx, arguments.prompt) for model in arguments.models for n_ctx in arguments.contexts]
    print(json.dumps(rows) if arguments.json else table(rows))


def with_time(model: str, n_chats: int) -> Iterator[float]:
    """Megabytes beside the prefix cache, after each twelfth of the chats."""
    dice = random.Random(1)
    with SeaLLM(model, context=2048, prefix_cache=60_000_000) as llm:
        llm.complete([1000] * 1900, max_tokens=1)  # touches the KV cache once
        for number in range(1, n_chats + 1):
            llm.chat(f"{dice.random()} " + "rice boats sea " * dice.randint(5, 250), max_tokens=2, temperature=0)
            if number % max(n_chats // 12, 1) == 0:
                yield (psutil.Process().memory_info().rss - llm.stats().host_cache_bytes) / 1e6


def table(rows: list[dict[str, Any]]) -> str:
    """Table of the rows for people, in MB."""
    lines = [f"{'model':32} {'context':>8} {'estimate':>9} {'taken':>8} {'off by':>8}"]
    for row in rows:
        off = row["estimate"] - row["taken"]
        lines.append(
            f"{row['model'][:32]:32} {row['context']:8,} {row['estimate'] / 1e6:9,.0f} {row['taken'] / 1e6:8,.0f}"
            f" {off / 1e6:+8.0f} MB {off / row['taken']:+6.1%}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
