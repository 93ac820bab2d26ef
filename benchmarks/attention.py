"""Attention alone: ours relative to ggml's, of batch tokens behind a KV cache, with the shapes of several models.

    python benchmarks/attention.py [--variant haswell] [--behind 4096] [--tokens 1 128] [--threads 2] [--rounds 9]

Both are in the same library: a mask that brings no positions stays with ggml. Each layer has a KV cache of its own.
Prints the least of the rounds, in which both take turns, and the median of their ratios.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from seallm_edge.native import symbols
from seallm_edge.native.backends import find_backends, load_backends

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.cpu_code import Ggml, Tensor, new_context
from tests.support.quantized import NUMBERS

SHAPES = {  # head_dim, query heads, KV heads, layers
    "SeaLLMs 1.5B": (128, 12, 2, 28),
    "SeaLLMs 7B": (128, 28, 4, 28),
    "SmolLM2 135M": (64, 9, 3, 30),
}


def main() -> None:
    """Print a line for each shape and number of batch tokens."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant")
    parser.add_argument("--behind", type=int, default=4096)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 128])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    variant = arguments.variant or load_backends().variant
    library = Ggml(find_backends()["cpu", variant])
    for name, shape in SHAPES.items():
        for n_tokens in arguments.tokens:
            ours, theirs = (
                Attention(library, shape, arguments.behind, n_tokens, with_positions=ours, rounds=arguments.rounds)
                for ours in (True, False)
            )
            pairs = [
                (ours.seconds(arguments.threads), theirs.seconds(arguments.threads)) for _ in range(arguments.rounds)
            ]
            least = " and ".join(f"{min(times) * 1e3:.1f}" for times in zip(*pairs, strict=True))
            ratio = statistics.median(b / a for a, b in pairs)
            print(
                f"{variant}, {name}, {n_tokens} tokens behind {arguments.behind}: {least} ms, {ratio:.2f} times as fast"
            )


class Attention:
    """A graph of all layers' attention."""

    def __init__(
        self, library: Ggml, shape: tuple[int, int, int, int], n_kv: int, n_tokens: int, *, with_positions: bool,
        rounds: int,
    ) -> None:  # fmt: skip
        head_dim, n_heads, n_kv_heads, n_layers = shape
        each = 4 * n_kv * head_dim * n_kv_heads + 8 * n_tokens * n_heads * head_dim
        self._library, self._draw = library, np.random.default_rng(0)
        self._context = new_context(ctypes.c_size_t(n_layers * each + rounds * (16 << 20) + (64 << 20)), None)
        self._positions = np.arange(n_kv, dtype=np.int32)
        seen = self._positions <= n_kv - n_tokens + np.arange(n_tokens)[:, None]
        mask = self._tensor("F16", np.where(seen, np.float16(0), np.float16(-np.inf)), n_kv, n_tokens)
        if with_positions:
            Tensor.from_address(mask).extra = self._positions.ctypes.data
        attend = symbols.function("ggml_flash_attn_ext", ctypes.c_void_p, *[ctypes.c_void_p] * 5, *[ctypes.c_float] * 3)
        self._graph = library.base["ggml_new_graph"](self._context)
        for _ in range(n_layers):
            q = self._heads("F32", np.float32, head_dim, n_heads, n_tokens)
            k, v = (self._heads("F16", np.float16, head_dim, n_kv_heads, n_kv) for _ in range(2))
            result = attend(self._context, q, k, v, mask, head_dim**-0.5, 0.0, 0.0)
            symbols.function("ggml_build_forward_expand", None, ctypes.c_void_p, ctypes.c_void_p)(self._graph, result)

    def seconds(self, n_threads: int) -> float:
        """Of all layers once."""
        started = time.perf_counter()
        self._library.cpu.ggml_graph_compute_with_ctx(self._context, self._graph, n_threads)
        return time.perf_counter() - started

    def _heads(self, kind: str, dtype: type, *sizes: int) -> int:
        made = self._tensor(kind, self._draw.normal(0, 1, sizes).astype(dtype), *sizes)
        permute = symbols.function("ggml_permute", ctypes.c_void_p, *[ctypes.c_void_p] * 2, *[ctypes.c_int] * 4)
        return int(permute(self._context, made, 0, 2, 1, 3))

    def _tensor(self, kind: str, data: np.ndarray, *sizes: int) -> int:
        new = symbols.function(
            "ggml_new_tensor_4d", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, *[ctypes.c_int64] * 4
        )
        made = new(self._context, NUMBERS[kind], *sizes, *[1] * (4 - len(sizes)))
        ctypes.memmove(self._library.base["ggml_get_data"](made), data.tobytes(), data.nbytes)
        return int(made)


if __name__ == "__main__":
    main()
