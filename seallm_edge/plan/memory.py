"""Memory that a model needs, and the models of the catalogue that fit in it. Arithmetic, no I/O.

Bytes are those measured of a process on x86-64 Linux (`benchmarks/memory.py` shows the difference), with the
weights counted once: repacking and GPUs copy them, and the pages of the file are given back.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..catalogue.cards import Card
from ..catalogue.recipes import UNQUANTIZED
from ..gguf_file import Dimensions
from ..machine import Machine

CPU_BATCH, GPU_BATCH = 128, 512  # prompt tokens prefilled in one step
MIN_CONTEXT = 2_048  # tokens; a chat is still usable
N_SEQUENCES = 64  # sequence ids of the KV cache
N_OUTPUTS = 32  # tokens of one step whose logits are wanted

PROCESS_BYTES = 60_000_000  # Python with numpy and this package, llama.cpp's code
VOCABULARY_BYTES_PER_TOKEN = 330  # llama.cpp's tables of texts, merges and pieces, and a sampler's candidates
CELL_BYTES = 80  # llama.cpp's record of a KV cell: position, sequences
# Left free: an estimate errs by some tens of MB, and other programs run as well.
HEADROOM_BYTES = 50_000_000

_FLOAT, _HALF = 4, 2
_CELLS = 256  # llama.cpp makes contexts of whole blocks of cells; ref: llama-context.cpp, GGML_PAD(cparams.n_ctx, 256)


def n_cells(n_ctx: int) -> int:
    """KV cells that llama.cpp makes for a context of `n_ctx` tokens."""
    return -(-n_ctx // _CELLS) * _CELLS


def step_bytes(
    model: Dimensions, n_ctx: int, n_batch: int, n_sequences: int = N_SEQUENCES, n_outputs: int = N_OUTPUTS
) -> int:
    """Bytes of the buffer that llama.cpp reserves for one step of `n_batch` tokens, with flash attention.

    Its worst case is a row of logits for every output (and it insists on one for each sequence), or the feed-forward
    layer beside the attention mask. Within 1 MB of what llama.cpp reports for models of 49k and 152k tokens, batches
    of 64 to 512, contexts of 2k to 8k.
    """
    rows = max(n_outputs, n_sequences)
    n_batch = -(-n_batch // n_sequences) * n_sequences  # it reserves for as many tokens of each sequence
    output = _FLOAT * (rows * (model.n_vocab + model.n_embd) + n_batch * model.n_embd)
    feed_forward = _FLOAT * n_batch * (3 * model.n_ff + 4 * model.n_embd)
    return max(output, feed_forward + _HALF * n_batch * n_cells(n_ctx))


def plain_attention_bytes(model: Dimensions, n_ctx: int, n_batch: int) -> int:
    """Bytes of the buffer for one step without flash attention, where the scores of all heads are its worst case."""
    return _FLOAT * n_batch * (n_cells(n_ctx) * (model.n_head + 1) + 6 * model.n_embd)


def process_bytes(model: Dimensions, n_ctx: int, n_sequences: int = N_SEQUENCES, n_outputs: int = N_OUTPUTS) -> int:
    """Bytes besides weights, KV cache and the buffer for a step: the process, the vocabulary, the logits."""
    logits = _FLOAT * model.n_vocab * max(n_outputs, n_sequences)
    return PROCESS_BYTES + VOCABULARY_BYTES_PER_TOKEN * model.n_vocab + logits + CELL_BYTES * n_cells(n_ctx)


def working_bytes(model: Dimensions, n_ctx: int = MIN_CONTEXT, n_batch: int = CPU_BATCH) -> int:
    """Bytes that must be free besides the weights, with a context of `n_ctx` tokens on the CPU."""
    kv = model.kv_bytes_per_token * n_cells(n_ctx)
    return kv + step_bytes(model, n_ctx, n_batch) + process_bytes(model, n_ctx) + HEADROOM_BYTES


def needed_bytes(card: Card, type_name: str, n_ctx: int = MIN_CONTEXT) -> int:
    """Memory that must be free for a card's model of this type on the CPU. Raises KeyError for a type it has not."""
    return card.size(type_name) + working_bytes(card.shape, n_ctx)


def best_type(card: Card, free: int, below: int | None = None) -> str | None:
    """Most exact quantized type of a card that fits in `free` bytes of memory; None where none does.

    Unquantized types are left out: they read twice the bytes for each token, with no visible gain over Q8_0.
    With `below`, only types whose files are smaller than that many bytes.
    """
    quantized = (name for name in card.types if name not in UNQUANTIZED)
    fitting = (name for name in quantized if needed_bytes(card, name) <= free)
    return next((name for name in fitting if below is None or card.size(name) < below), None)


def largest_that_fits(cards: Iterable[Card], machine: Machine) -> tuple[Card, str] | None:
    """Largest model that fits in the free memory, and its best type; chat models before base models."""
    ranked = sorted(cards, key=lambda card: (-card.parameters, not card.chat))
    return next(((c, t) for c in ranked if (t := best_type(c, machine.memory_available))), None)
