"""Logits of a model over a paragraph and its answer to a question, to compare it with its source model."""

from __future__ import annotations

from pathlib import Path

from seallm_edge.native.context import Context
from seallm_edge.native.model import Model
from seallm_edge.quality.kld import log_probabilities

PARAGRAPH = (
    "The river rises in the mountains and runs for four hundred kilometres to the sea. In the dry season it is a chain "
    "of pools where children swim and buffaloes cool themselves; when the monsoon comes, it covers the fields with "
    "brown water and leaves behind the soil that the rice grows in. People who live on its banks build their houses "
    "on stilts, keep a boat under the floor, and can tell from the colour of the water how much rain has fallen "
    "upstream."
)
QUESTION = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
N_GREEDY = 32


class Reading:
    """What a model makes of given token ids: its log-probabilities over a paragraph, and its greedy answer."""

    def __init__(self, path: Path, paragraph: list[int], question: list[int]) -> None:
        model = Model(path)
        # One thread: the figures must not depend on how a sum is split.
        context = Context(model, n_ctx=512, n_batch=256, n_threads=1, n_outputs=256)
        self.log_probabilities = log_probabilities(context, paragraph)
        context.forget(0)
        self.answer = greedy(context, question)
        self.text = model.vocabulary.detokenize(self.answer).decode("utf-8", "replace")
        context.close()
        model.close()


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


def token_ids(path: Path) -> tuple[list[int], list[int]]:
    """The paragraph and the question in the tokens of the model at `path`."""
    model = Model(path, vocabulary_only=True)
    paragraph, question = (model.vocabulary.tokenize(text, special=True) for text in (PARAGRAPH, QUESTION))
    model.close()
    return paragraph, question
