"""Matrix products alone: multiply-adds a second by our kernels, as a share of the machine's limit.

    python benchmarks/products.py [--variant haswell] [--types Q4_K Q8_0] [--shape 1536x8960] [--columns 8 128]
        [--threads 1 2] [--rounds 24] [--against LIBRARY]

`--against` names a CPU library of another build: both run in turns, and the ratio of each pair is taken. Prints
medians, with the lowest and highest. ggml takes new working memory for each product.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import time
from collections.abc import Callable
from pathlib import Path

import limits
import numpy as np
from transfer import spread

from seallm_edge.native import symbols
from seallm_edge.native.backends import find_backends, load_backends

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.cpu_code import Ggml, new_context
from tests.support.quantized import NUMBERS, quantized


def main() -> None:
    """Print a line for each type, number of columns and number of threads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant")
    parser.add_argument("--types", nargs="+", default=["Q4_K", "Q8_0"])
    parser.add_argument("--shape", default="1536x8960", help="columns and rows of the weights")
    parser.add_argument("--columns", type=int, nargs="+", default=[8, 128], help="batch tokens")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--against", type=Path)
    arguments = parser.parse_args()
    variant = arguments.variant or load_backends().variant
    n, n_rows = map(int, arguments.shape.split("x"))
    libraries = [Ggml(find_backends()["cpu", variant]), *([Ggml(arguments.against)] if arguments.against else [])]
    for n_threads in arguments.threads:
        limit = limits.measured(variant, n_threads)
        print(f"\n{n_threads} threads, {variant}; limits: {limit.in_words()}")
        for kind in arguments.types:
            for columns in arguments.columns:
                work = [product(library, kind, n, n_rows, columns, n_threads) for library in libraries]
                seconds = [[each() for each in work] for _ in range(arguments.rounds)]
                speeds = [n * n_rows * columns / own / 1e9 for own, *_ in seconds]
                share = sorted(speeds)[len(speeds) // 2] * 1e9 / limit.multiply_adds if limit.multiply_adds else 0
                print(f"{kind:6} x {columns:3} columns: {spread(speeds, '.1f')} G, {share:.2f} of the limit", end="")
                if arguments.against:
                    print(
                        f"; times as fast as the other: {spread([other / own for own, other in seconds], '.2f')}",
                        end="",
                    )
                print(flush=True)


def product(library: Ggml, kind: str, n: int, n_rows: int, columns: int, n_threads: int) -> Callable[[], float]:
    """Seconds of one product, each time again."""
    packed, _ = quantized(kind, n_rows, n)
    rows = np.random.default_rng(0).normal(0, 1, (columns, n)).astype(np.float32)
    context = new_context(ctypes.c_size_t(len(packed) + 4 * columns * (n + n_rows) + (1 << 30)), None)
    tensor, data = library.base["ggml_new_tensor_2d"], library.base["ggml_get_data"]
    right, left = tensor(context, NUMBERS["F32"], n, columns), tensor(context, NUMBERS[kind], n, n_rows)
    ctypes.memmove(data(right), rows.tobytes(), rows.nbytes)
    ctypes.memmove(data(left), packed, len(packed))
    graph = library.base["ggml_new_graph"](context)
    result = library.base["ggml_mul_mat"](context, left, right)
    symbols.function("ggml_build_forward_expand", None, ctypes.c_void_p, ctypes.c_void_p)(graph, result)

    def seconds() -> float:
        started = time.perf_counter()
        assert library.cpu.ggml_graph_compute_with_ctx(context, graph, n_threads) == 0
        return time.perf_counter() - started

    seconds()
    return seconds


if __name__ == "__main__":
    main()
