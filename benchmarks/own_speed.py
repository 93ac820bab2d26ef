"""Speed of ours for peers.py, in a process of its own: `python own_speed.py MODEL.gguf WORKLOAD_JSON` prints JSON.

The work of llama-bench and llama-batched-bench, random tokens without sampling, on the native context that the engine
would make for a user of this model.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from workload import N_DECODED, REPLY_PROMPT, Workload, decode_name, prompt_name, replies_name

from seallm_edge import SeaLLMError
from seallm_edge.engine.loaded import planned_context
from seallm_edge.engine.reproducible import batch_rule
from seallm_edge.hints import command_line_words
from seallm_edge.loading import LoadTarget, resolve
from seallm_edge.native.backends import load_backends
from seallm_edge.native.batch import Batch
from seallm_edge.native.model import Model
from seallm_edge.plan import LoadOptions
from seallm_edge.plan.memory import n_cells


def main() -> None:
    """Print speeds by work, and settings."""
    work = Workload(**json.loads(sys.argv[2]))
    try:
        target = resolved(Path(sys.argv[1]), work)
        speeds = OwnSpeed(target).measured(work)
    except SeaLLMError as error:
        sys.exit(error.worded(command_line_words))
    print(json.dumps({"speeds": speeds, "settings": settings(target)}))


def resolved(path: Path, work: Workload) -> LoadTarget:
    """Plan of a user on the CPU, with a larger context if the work needs it."""
    options = {"threads": work.threads, "gpu_layers": 0, "n_batch": work.batch}
    target = resolve(path, LoadOptions(**options))
    return target if target.plan.n_ctx >= work.n_cells else resolve(path, LoadOptions(context=work.n_cells, **options))


def settings(target: LoadTarget) -> dict[str, str | int]:
    """Settings that decide the speed, in words."""
    plan = target.plan
    return {
        "CPU code": load_backends().variant,
        "batch": plan.n_batch,
        "repacked": "yes" if plan.repack else "no",
        "KV": f"{plan.cache_type_k}/{plan.cache_type_v}",
        "flash attention": {True: "on", False: "off", None: "auto"}[plan.flash_attention],
        "context": plan.n_ctx,
        "KV bytes a token": plan.kv_bytes // n_cells(plan.n_ctx),
    }


class OwnSpeed:
    """Timed work on the model and context of a plan."""

    def __init__(self, target: LoadTarget) -> None:
        plan = target.plan
        self._model = Model(target.header.path, n_gpu_layers=0, repack=plan.repack)
        self._context = planned_context(self._model, plan)
        self._batch = Batch(plan.n_batch)
        self._rule = batch_rule(self._context)
        self._dice = random.Random(0)

    def measured(self, work: Workload) -> dict[str, float]:
        """Tokens a second, by name of the work."""
        speeds = {prompt_name(n): n / self._second(lambda n=n: self._prompt(n)) for n in work.prompts}
        for depth in work.depths:
            seconds = self._decode(depth) if depth else self._second(lambda: self._decode(0))
            speeds[decode_name(depth)] = N_DECODED / seconds
        if work.replies:
            speeds[replies_name(work.replies)] = work.replies * N_DECODED / self._replies(work.replies)
        return speeds

    def _second(self, run: Callable[[], float]) -> float:
        """Seconds of the second of two runs."""
        run()
        return run()

    def _prompt(self, n_tokens: int, sequence: int = 0) -> float:
        """Seconds of a prefill, in the batches of a request that runs alone."""
        if not sequence:
            self._context.clear()
        tokens = self._tokens(n_tokens)
        started = time.perf_counter()
        position = 0
        while position < n_tokens:
            end = position + self._rule.n_prefill(position, n_tokens - position)
            self._batch.clear()
            self._batch.extend(tokens[position:end], position, sequence, n_logits=int(end == n_tokens))
            self._context.run(self._batch)
            position = end
        self._context.logits()
        return time.perf_counter() - started

    def _decode(self, depth: int) -> float:
        """Seconds of the decode of one sequence behind a prompt."""
        self._context.clear()
        if depth:
            self._prompt(depth)
        return self._steps(depth, 1)

    def _replies(self, n_replies: int) -> float:
        """Seconds of the decode of several sequences behind a prompt each."""
        for sequence in range(n_replies):
            self._prompt(REPLY_PROMPT, sequence)
        return self._steps(REPLY_PROMPT, n_replies)

    def _steps(self, depth: int, n_sequences: int) -> float:
        tokens = self._tokens(N_DECODED)
        started = time.perf_counter()
        for step, token in enumerate(tokens):
            self._batch.clear()
            for sequence in range(n_sequences):
                self._batch.add(token, depth + step, sequence)
            self._context.run(self._batch)
            self._context.logits()
        return time.perf_counter() - started

    def _tokens(self, count: int) -> list[int]:
        return self._dice.choices(range(self._context.n_vocab), k=count)


if __name__ == "__main__":
    main()
