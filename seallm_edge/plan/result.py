"""`Plan`: how a model will be run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """How a model will be run, and what that takes.

    n_ctx               tokens of KV memory, which all sequences share
    n_batch             the most tokens of one step
    n_sequences         conversations that llama.cpp can tell apart
    n_outputs           the most tokens of one step whose logits are wanted
    threads             CPU threads
    gpu_layers          layers on the GPU, the output among them
    cache_type_k, _v    types of the keys and values in the KV memory
    flash_attention     None lets llama.cpp decide
    repack              whether weights are laid out anew for the CPU's fastest kernels
    prefix_cache_bytes  the most main memory that the KV of resting conversations may take, besides all below
    weights_bytes       all weights
    kv_bytes            the KV memory
    compute_bytes       the buffers for one step, and the rest of the process
    gpu_bytes           what of these three lies on the GPU
    reasons, warnings   in words: why the numbers are what they are; what may go wrong with what was asked for
    """

    n_ctx: int
    n_batch: int
    n_sequences: int
    n_outputs: int
    threads: int
    gpu_layers: int
    cache_type_k: str
    cache_type_v: str
    flash_attention: bool | None
    repack: bool
    prefix_cache_bytes: int
    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    gpu_bytes: int
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def total_bytes(self) -> int:
        """All memory that the process takes once it has worked a little, the GPU's included."""
        return self.weights_bytes + self.kv_bytes + self.compute_bytes

    @property
    def main_bytes(self) -> int:
        """Main memory."""
        return self.total_bytes - self.gpu_bytes
