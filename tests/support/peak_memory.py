"""Peak memory of a process under load, beside its plan's estimate. As a script: MODEL N_CTX N_PROMPT."""

from __future__ import annotations

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


def in_child(model: str, n_ctx: int, n_prompt: int) -> dict[str, Any]:
    """What `measure` finds in a new process."""
    command = [sys.executable, __file__, model, str(n_ctx), str(n_prompt)]
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


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
