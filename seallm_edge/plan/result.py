"""`Plan`: settings and memory with which a model will run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Settings and memory with which a model will run.

    n_ctx               tokens of KV cache, shared by all sequences
    n_batch             maximum tokens of one step
    n_sequences         maximum sequences in the KV cache
    n_outputs           maximum tokens of one step with logits
    threads             CPU threads
    gpu_layers          layers on the GPUs, including the output layer
    gpus                names of the GPUs that they are on
    cache_type_k, _v    types of the keys and values in the KV cache
    flash_attention     None lets llama.cpp decide
    repack              whether weights are repacked for the CPU's fastest kernels
    is_batch_invariant  whether the logits of a token have the same bits in any batch, so that a reply is the same text
                        alone, beside others, with draft tokens, and from cached tokens
    prefix_cache_bytes  maximum main memory for evicted KV states, besides the bytes below
    weights_bytes       all weights
    kv_bytes            the KV cache
    compute_bytes       the buffers for one step, and the rest of the process
    gpu_bytes           the part of these three in the GPUs' own memory
    reasons, warnings   in words: the reasons for the settings, and the risks of the given options
    """

    n_ctx: int
    n_batch: int
    n_sequences: int
    n_outputs: int
    threads: int
    gpu_layers: int
    gpus: tuple[str, ...]
    cache_type_k: str
    cache_type_v: str
    flash_attention: bool | None
    repack: bool
    prefix_cache_bytes: int
    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    gpu_bytes: int
    is_batch_invariant: bool = False
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def total_bytes(self) -> int:
        """Memory of the process after its first steps, including the GPU's."""
        return self.weights_bytes + self.kv_bytes + self.compute_bytes

    @property
    def why_layers(self) -> str:
        """The reason for the layers on the GPU or the CPU; "" for a plan without reasons."""
        return next((reason for reason in self.reasons if " layers on the " in reason), "")

    @property
    def main_bytes(self) -> int:
        """Main memory of the process."""
        return self.total_bytes - self.gpu_bytes
