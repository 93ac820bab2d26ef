"""ggml's operations by one CPU code, such as `zen4`, beside the one that this process uses."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seallm_edge.native import symbols
from seallm_edge.native.backends import find_backends, load_backends
from tests.support.quantized import NUMBERS

Floats = NDArray[np.float32]


def variants() -> dict[str, Path]:
    return {variant: path for (kind, variant), path in find_backends().items() if kind == "cpu"}


class Ggml:
    """One CPU code's functions, beside ggml's own."""

    def __init__(self, path: Path) -> None:
        self.cpu = ctypes.CDLL(str(path))
        base = {name: symbols.function(name, ctypes.c_void_p, *kinds) for name, kinds in {
            "ggml_new_tensor_2d": (ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_int64),
            "ggml_mul_mat": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
            "ggml_new_graph": (ctypes.c_void_p,),
            "ggml_get_data": (ctypes.c_void_p,),
        }.items()}  # fmt: skip
        self.base = base
        self.cpu.ggml_cpu_init()
        self.cpu.ggml_graph_compute_with_ctx.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)

    def products(
        self,
        weights: list[tuple[str, bytes]],
        rows: Floats,
        n_threads: int,
        memory: NDArray[np.uint32] | None = None,
    ) -> list[Floats]:
        """Of each of `weights` (type, packed) with `rows`, in one graph, shape (len(rows), their rows).

        `memory` is what ggml works in.
        """
        size = ctypes.c_size_t(96 << 20 if memory is None else memory.nbytes)
        context = new_context(size, None if memory is None else memory.ctypes.data)
        try:
            n = rows.shape[1]
            right = self.base["ggml_new_tensor_2d"](context, NUMBERS["F32"], n, len(rows))
            data = np.ascontiguousarray(rows, np.float32).tobytes()
            ctypes.memmove(self.base["ggml_get_data"](right), data, len(data))
            graph = self.base["ggml_new_graph"](context)
            results = []
            for kind, packed in weights:
                n_out = len(packed) // row_size(kind, n)
                left = self.base["ggml_new_tensor_2d"](context, NUMBERS[kind], n, n_out)
                ctypes.memmove(self.base["ggml_get_data"](left), packed, len(packed))
                result = self.base["ggml_mul_mat"](context, left, right)
                symbols.function("ggml_build_forward_expand", None, ctypes.c_void_p, ctypes.c_void_p)(graph, result)
                results.append((result, n_out))
            assert self.cpu.ggml_graph_compute_with_ctx(context, graph, n_threads) == 0
            return [
                np.frombuffer(
                    ctypes.string_at(self.base["ggml_get_data"](result), 4 * n_out * len(rows)), np.float32
                ).reshape(len(rows), n_out)
                for result, n_out in results
            ]
        finally:
            symbols.function("ggml_free", None, ctypes.c_void_p)(context)

    def product(
        self, kind: str, weights: bytes, rows: Floats, n_threads: int, memory: NDArray[np.uint32] | None = None
    ) -> Floats:
        """Shape (len(rows), weight rows)."""
        return self.products([(kind, weights)], rows, n_threads, memory)[0]


class InitParameters(ctypes.Structure):
    """ref: ggml.h, struct ggml_init_params"""

    _fields_ = (("size", ctypes.c_size_t), ("buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


class Tensor(ctypes.Structure):
    """The first fields of a tensor. ref: ggml.h, struct ggml_tensor"""

    _fields_ = (
        ("type", ctypes.c_int), ("buffer", ctypes.c_void_p), ("ne", ctypes.c_int64 * 4), ("nb", ctypes.c_size_t * 4),
        ("op", ctypes.c_int), ("op_params", ctypes.c_int32 * 16), ("flags", ctypes.c_int32),
        ("src", ctypes.c_void_p * 10), ("view_src", ctypes.c_void_p), ("view_offs", ctypes.c_size_t),
        ("data", ctypes.c_void_p), ("name", ctypes.c_char * 64), ("extra", ctypes.c_void_p),
    )  # fmt: skip


def new_context(size: ctypes.c_size_t, memory: int | None) -> int:
    return symbols.function("ggml_init", ctypes.c_void_p, InitParameters)(InitParameters(size, memory, False))


def row_size(kind: str, n: int) -> int:
    return symbols.function("ggml_row_size", ctypes.c_size_t, ctypes.c_int, ctypes.c_int64)(NUMBERS[kind], n)


@cache
def ggml(variant: str) -> Ggml:
    """Skips where this processor lacks its instructions, or it has no kernels of ours."""
    load_backends()
    cpu = ctypes.CDLL(str(variants()[variant]))
    if not cpu.ggml_backend_score() or not hasattr(cpu, "seallm_has_kernels") or not cpu.seallm_has_kernels():
        pytest.skip("this processor cannot run it, or it has ggml's own kernels")
    return Ggml(variants()[variant])
