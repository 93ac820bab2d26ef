"""The same text again: what a batch may hold, and which cached tokens a reply may reuse, so that a prompt gives the
same logits whatever was decoded before and beside it.
"""

from __future__ import annotations

from .contract import Context
from .kv.prefix_cache import PrefixCache
from .kv.slots import UNKNOWN, Match

BLOCK = 64  # tokens


class AnyBatch:
    """Rule for a context whose logits have the same bits in any batch and any cells: nothing is forbidden.

    `n_shared` is the most tokens of a batch that several sequences share.
    """

    def __init__(self, n_batch: int) -> None:
        self.n_batch = n_batch
        self.n_shared = n_batch

    def n_prefill(self, start: int, n_pending: int) -> int:
        """Tokens of a prompt's next batch, from position `start` on, of which `n_pending` are left: all that fit."""
        return min(n_pending, self.n_batch)

    def reusable(self, cache: PrefixCache, match: Match, n_prompt: int) -> Match:
        """What a reply that must be reproducible, and runs alone, reuses of a match with its prompt: all of it."""
        return match


class Blocks(AnyBatch):
    """Rule for llama.cpp's own CPU attention, which is tiled for batches of 64 tokens or more and works token by token
    below: the two round differently, and so do another number or order of cells in use.

    So prompts are prefilled in blocks of 64 tokens plus a remainder, batches with decoding sequences stay below a
    block, and a reply that must be reproducible reuses only those cached tokens that a prefill of its whole prompt
    would have computed alike. Beside other replies it is not reproducible.
    ref: ggml-cpu/ops.cpp, ggml_compute_forward_flash_attn_ext_f16
    """

    def __init__(self, n_batch: int) -> None:
        super().__init__(n_batch)
        self.n_shared = min(BLOCK - 1, n_batch)

    def n_prefill(self, start: int, n_pending: int) -> int:
        """Up to a multiple of `n_batch`; at the prompt's end whole blocks first, then the remainder."""
        n_tokens = min(self.n_batch - start % self.n_batch, n_pending)
        return n_tokens - n_tokens % BLOCK if n_tokens > BLOCK and n_tokens == n_pending else n_tokens

    def reusable(self, cache: PrefixCache, match: Match, n_prompt: int) -> Match:
        """Whole blocks, moved to the first cells."""
        return compacted(cache, match, exactly_reusable(match, n_prompt, self.n_batch))


def batch_rule(context: Context) -> AnyBatch:
    """The rule for a context."""
    return AnyBatch(context.n_batch) if context.is_batch_invariant else Blocks(context.n_batch)


def exactly_reusable(match: Match, n_prompt: int, n_batch: int) -> int:
    """Number of cached tokens that can be reused without changing the result: those prefilled in the same 64-token
    blocks that a cold prefill of `n_prompt` tokens would use.

    All of them if the cached sequence is a prefix of the prompt, or if its block layout is unknown.
    """
    slot, n_kept = match
    if slot is None or n_kept == len(slot.tokens) or slot.n_block_aligned == UNKNOWN:
        return n_kept
    n_block_aligned = n_prompt - n_prompt % BLOCK if n_batch >= BLOCK else 0
    if n_kept > n_block_aligned == slot.n_block_aligned:
        return min(n_kept, max(n_prompt - 2, n_block_aligned))  # a batch of one token rounds differently, too
    n_kept = min(n_kept, slot.n_block_aligned)
    return n_kept - n_kept % BLOCK


def compacted(cache: PrefixCache, match: Match, n_kept: int) -> Match:
    """The first `n_kept` tokens of a match, in the first cells and with no other sequence in the KV cache: the number
    of cells in use and their order decide how attention rounds.
    """
    slots = cache.slots
    slot = match.slot if n_kept else None
    if not slot or not slot.is_contiguous or slots.n_used_cells > len(slot.tokens):
        slot = cache.keep_alone(slot)
    if slot and n_kept < len(slot.tokens):
        cache.offload(slot)
        slots.truncate(slot, n_kept)
    return Match(slot, n_kept if slot else 0)
