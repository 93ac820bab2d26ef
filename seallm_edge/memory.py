"""How much memory a model needs, and which model of the catalogue a computer can hold. Arithmetic, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from .catalogue import Card
from .machine import Machine
from .recipes import UNQUANTIZED

CPU_BATCH, GPU_BATCH = 128, 512  # prompt tokens read at once
SMALLEST_CONTEXT = 2_048  # what a chat still works with
# Python with numpy, llama.cpp's code, work buffers of the threads: 50 MB measured on x86-64 Linux. The rest is room
# for what other programs may come to need.
MARGIN_BYTES = 120_000_000
VOCABULARY_BYTES_PER_TOKEN = 300  # llama.cpp's tables of texts, merges and pieces

_FLOAT = 4


class Sized(Protocol):
    """What sizes follow from; `Header` and `Shape` have it."""

    @property
    def n_vocab(self) -> int:
        """Rows of the output."""

    @property
    def n_embd(self) -> int:
        """Width of the hidden state."""

    @property
    def n_ff(self) -> int:
        """Width of the feed-forward layer."""

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of keys and values that one token takes, in f16."""


def compute_bytes(model: Sized, n_batch: int) -> int:
    """Bytes that llama.cpp reserves for one step of `n_batch` tokens.

    Its worst case is logits for every token of the batch, or, with a small vocabulary, the feed-forward layer.
    Within 1% of what llama.cpp reports for models of 49k and 152k tokens, batches of 128 and 512, contexts of 2k to
    32k (attention is flash attention, which takes nothing of the context's size).
    """
    output = model.n_vocab + 2 * model.n_embd
    feed_forward = 3 * model.n_ff + 4 * model.n_embd
    return _FLOAT * n_batch * max(output, feed_forward)


def other_bytes(model: Sized) -> int:
    """Bytes besides weights, KV cache and compute buffer."""
    return MARGIN_BYTES + VOCABULARY_BYTES_PER_TOKEN * model.n_vocab


def working_bytes(model: Sized, n_ctx: int = SMALLEST_CONTEXT, n_batch: int = CPU_BATCH) -> int:
    """Bytes besides the weights, with a context of `n_ctx` tokens on the CPU."""
    return model.kv_bytes_per_token * n_ctx + compute_bytes(model, n_batch) + other_bytes(model)


def needed_bytes(card: Card, type_name: str, n_ctx: int = SMALLEST_CONTEXT) -> int:
    """Memory that a card's model of this type needs on the CPU. Raises KeyError for a type it has not."""
    return card.size(type_name) + working_bytes(card.shape, n_ctx)


def best_type(card: Card, free: int, below: int | None = None) -> str | None:
    """The most exact type of a card worth running that `free` bytes of memory hold; None where none does.

    Unquantized types are passed over: twice the bytes to read for each token, and no better to be told from Q8_0.
    With `below`, only types whose files are smaller than that many bytes.
    """
    quantized = (name for name in card.types if name not in UNQUANTIZED)
    fitting = (name for name in quantized if needed_bytes(card, name) <= free)
    return next((name for name in fitting if below is None or card.size(name) < below), None)


def largest_that_fits(cards: Iterable[Card], machine: Machine) -> tuple[Card, str] | None:
    """The largest model, and its best type, that the free memory holds; chat models before base models."""
    ranked = sorted(cards, key=lambda card: (-card.parameters, not card.chat))
    return next(((c, t) for c in ranked if (t := best_type(c, machine.memory_available))), None)
