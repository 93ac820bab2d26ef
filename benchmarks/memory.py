"""What a plan says a model takes, and what the process really takes at its peak.

    python benchmarks/memory.py [MODEL ...] [--contexts 2048 8192] [--prompt TOKENS] [--json]

MODEL is a catalogue name or a GGUF; default: the demo model. Each row is a process of its own: it loads the model,
reads a prompt that fills the context (or one of --prompt tokens), and writes eight replies together. Its peak is that
of the resident set, the file's mapped pages and Python included; memory for resting conversations, which comes beside
the estimate, is off.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from seallm_edge import SeaLLM

TOGETHER = 8
REPLY_TOKENS = 16
SAMPLE_WORDS = 2_000


def main() -> None:
    """Print a table, or with --json a list; with --here, measure in this very process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["smollm2-135m-instruct"])
    parser.add_argument("--contexts", type=int, nargs="+", default=[2048, 8192])
    parser.add_argument("--prompt", type=int, default=1 << 30)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure(arguments.models[0], arguments.contexts[0], arguments.prompt)))
        return
    rows = [in_child(model, n_ctx, arguments.prompt) for model in arguments.models for n_ctx in arguments.contexts]
    print(json.dumps(rows) if arguments.json else table(rows))


def in_child(model: str, n_ctx: int, n_prompt: int) -> dict[str, Any]:
    """What `measure` finds in a new process."""
    command = [sys.executable, __file__, "--here", model, "--contexts", str(n_ctx), "--prompt", str(n_prompt)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def measure(model: str, n_ctx: int, n_prompt: int) -> dict[str, Any]:
    """The plan's bytes and this process's peak, after work that touches all there is."""
    with SeaLLM(model, context=n_ctx, prefix_cache=0, force=True) as llm:
        llm.complete(filling(llm, min(n_prompt, n_ctx - 2 * REPLY_TOKENS)), max_tokens=REPLY_TOKENS)
        topics = [f"Tell me about the number {number}." for number in range(TOGETHER)]
        for stream in [llm.stream(topic, max_tokens=REPLY_TOKENS) for topic in topics]:
            stream.read()
        plan = llm.plan
        return {
            "model": f"{llm.name} {llm.header.file_type_name}",
            "context": plan.n_ctx,
            "weights": plan.weights_bytes,
            "kv": plan.kv_bytes,
            "compute": plan.compute_bytes,
            "estimate": plan.total_bytes,
            "taken": peak_bytes(),
        }


def filling(llm: SeaLLM, n_tokens: int) -> str:
    """A text of nearly, and at most, `n_tokens` tokens."""
    source = random.Random(0)
    words = " ".join(f"{source.randrange(10**6):x}" for _ in range(SAMPLE_WORDS))
    per_token = len(words) / len(llm.tokenize(words))
    text = (words + " ") * (1 + n_tokens // SAMPLE_WORDS)
    while len(llm.tokenize(text)) > n_tokens:
        text = text[: int(min(len(text) * 0.99, n_tokens * per_token))]
    return text


def peak_bytes() -> int:
    """The most memory that was resident in this process."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count the parent's too
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for people, in MB."""
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
