"""What each type costs in quality: a trained checkpoint converted to every type and compared with its F16 self.

The checkpoint is the demo model in Qwen2's layout (trained_checkpoint.py), so the text is English and the model tiny:
the figures rank the types, they do not tell how SeaLLMs-v3 does. Needs 1.5 GB of disk for a minute.

    .venv/bin/python benchmarks/quality.py

prints a table: size, seconds to convert, mean Kullback-Leibler divergence from F16 in nats a token, how often the
likeliest next token is the same, and how many of 32 greedy tokens come before the first that differs.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from seallm_edge.catalogue.recipes import RECIPES
from seallm_edge.convert import convert
from seallm_edge.native.context import Context
from seallm_edge.native.model import Model
from seallm_edge.native.quantizer import requantize_file

PARAGRAPH = (
    "The river rises in the mountains and runs for four hundred kilometres to the sea. In the dry season it is a chain "
    "of pools where children swim and buffaloes cool themselves; when the monsoon comes, it covers the fields with "
    "brown water and leaves behind the soil that the rice grows in. People who live on its banks build their houses "
    "on stilts, keep a boat under the floor, and can tell from the colour of the water how much rain has fallen "
    "upstream."
)
QUESTION = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
N_GREEDY = 32
F16 = RECIPES["F16"].file_type


class Reading:
    """What a model makes of given token ids: its log-probabilities over a paragraph, and its greedy answer."""

    def __init__(self, path: Path, paragraph: list[int], question: list[int]) -> None:
        model = Model(path)
        # One thread: the figures must not depend on how a sum is split.
        context = Context(model, n_ctx=512, n_batch=256, n_threads=1, n_outputs=256)
        context.decode(paragraph, 0, all_logits=True)
        logits = np.stack([context.logits(i) for i in range(len(paragraph))]).astype(np.float64)
        self.log_probabilities = log_softmax(logits)
        context.forget(0)
        self.answer = greedy(context, question)
        self.text = model.vocabulary.detokenize(self.answer).decode("utf-8", "replace")
        context.close()
        model.close()


def log_softmax(logits: Any) -> Any:
    """Log-probabilities along the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def greedy(context: Context, prompt: list[int]) -> list[int]:
    """The likeliest tokens after `prompt`, one after the other."""
    answer: list[int] = []
    step, position = prompt, 0
    while len(answer) < N_GREEDY:
        context.decode(step, position)
        position += len(step)
        step = [int(context.logits().argmax())]
        answer += step
    return answer


def divergence(reference: Reading, other: Reading) -> float:
    """Mean Kullback-Leibler divergence of `other` from `reference`, in nats a token."""
    p, q = reference.log_probabilities, other.log_probabilities
    return float((np.exp(p) * (p - q)).sum(axis=-1).mean())


def agreement(reference: Reading, other: Reading) -> float:
    """Share of positions at which both hold the same token likeliest."""
    likeliest = (reading.log_probabilities.argmax(axis=-1) for reading in (reference, other))
    return float(np.equal(*likeliest).mean())


def same_start(reference: Reading, other: Reading) -> int:
    """How many greedy tokens are the same before the first that differs."""
    pairs = zip(reference.answer, other.answer, strict=True)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), N_GREEDY)


def token_ids(path: Path) -> tuple[list[int], list[int]]:
    """The paragraph and the question in the tokens of the model at `path`."""
    model = Model(path, vocabulary_only=True)
    paragraph, question = (model.vocabulary.tokenize(text, special=True) for text in (PARAGRAPH, QUESTION))
    model.close()
    return paragraph, question


def main() -> None:
    """Print the table."""
    from trained_checkpoint import demo_file, write_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        checkpoint, original, out = (Path(folder) / name for name in ("model", "original.gguf", "out.gguf"))
        write_checkpoint(demo_file(), checkpoint)
        requantize_file(demo_file(), original, F16)
        ids = token_ids(convert(checkpoint, out, "F16"))
        reference = Reading(original, *ids)
        print(
            "| type | MB | seconds | KL (nats) | same likeliest token | same greedy tokens |\n|---|---|---|---|---|---|"
        )
        for name in RECIPES:
            started = time.monotonic()
            convert(checkpoint, out, name, force=True)
            seconds, megabytes = time.monotonic() - started, out.stat().st_size / 1e6
            ours = Reading(out, *ids)
            print(
                f"| {name} | {megabytes:.0f} | {seconds:.1f} | {divergence(reference, ours):.6f} "
                f"| {agreement(reference, ours):.1%} | {same_start(reference, ours)} of {N_GREEDY} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
