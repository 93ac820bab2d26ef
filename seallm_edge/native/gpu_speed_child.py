"""Runs in a child process: one GPU, and the CPU beside it, multiply by the matrices of a model's layer, and are timed.

A request comes on stdin and its answer goes to stdout, both JSON; see `answer`. A GPU whose products are wrong, or
whose driver dies or hangs, ends or holds this process alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from ctypes import CFUNCTYPE, c_bool, c_char_p, c_int, c_int64, c_uint8, c_void_p
from typing import Any

from ..errors import EngineError
from ..gguf_file.types import TENSOR_TYPES
from ..machine import this_machine
from . import symbols
from .backends import load_backends
from .child import answer_request
from .probe_child import (
    DEVICE_TYPE_CPU,
    GGML_TYPE_F32,
    QUANTIZED_TYPES,
    Ggml,
    InitParams,
    multiply,
    weight_buffer_types,
)

Matrix = tuple[int, int, int]  # type id, columns, rows
_TYPE_NAMES = {kind.id: kind.name for kind in TENSOR_TYPES.values()}
_GRAPH_BYTES = 4 << 20  # for the descriptions of tensors, without their numbers
_SLICE_ELEMENTS = 4_000_000
_HOPELESS = 10  # times as slow as the CPU: no more than a slice of the layer is tried
_HOPELESS_SECONDS = 0.003  # of a slice: the start alone of a fast GPU's work can take longer than the CPU's products
_PREFILL_TOKENS = 128
_WEIGHTS_BYTES = 128_000_000  # more than caches hold
_TRIES = 3


def answer(request: Mapping[str, Any]) -> dict[str, float]:
    """Seconds per token of one layer: `cpu_decode`, `gpu_decode`, and where the GPU is no hopeless case `cpu_prefill`
    and `gpu_prefill`.

    Of the request, `gpu` is the device's name, `matrices` are [type id, columns, rows] of the layer, `n_layer` how many
    layers there are. Raises EngineError.
    """
    kernel_types = load_backends().kernel_types
    ggml = Ggml(symbols.llama_cpp()._lib)
    device = ggml.call("ggml_backend_dev_by_name", c_char_p(request["gpu"].encode()))
    if not device:
        raise EngineError(f"llama.cpp no longer sees the GPU {request['gpu']}")
    gpu = Device(ggml, c_void_p(device))
    matrices: list[Matrix] = [(kind, columns, rows) for kind, columns, rows in request["matrices"]]
    repack = not {_TYPE_NAMES[kind] for kind, _, _ in matrices} <= kernel_types
    device = ggml.call("ggml_backend_dev_by_type", c_int(DEVICE_TYPE_CPU))
    cpu = Device(ggml, c_void_p(device), threads=this_machine().threads, repack=repack)
    part = _slice(matrices)
    found = {"cpu_decode": cpu.seconds(part, 1), "gpu_decode": gpu.seconds(part, 1)}
    if found["gpu_decode"] > max(_HOPELESS * found["cpu_decode"], _HOPELESS_SECONDS):
        return found
    gpu.check_products()
    n_layers = max(1, min(request["n_layer"], _WEIGHTS_BYTES // max(sum(map(_n_bytes, matrices)), 1)))
    for name, one in (("cpu", cpu), ("gpu", gpu)):
        found[f"{name}_decode"] = one.seconds(matrices * n_layers, 1) / n_layers
        found[f"{name}_prefill"] = one.seconds(matrices, _PREFILL_TOKENS) / _PREFILL_TOKENS
    return found


def _slice(matrices: Sequence[Matrix]) -> list[Matrix]:
    """The first rows of each matrix, in all no more than `_SLICE_ELEMENTS`."""
    share = min(1.0, _SLICE_ELEMENTS / max(sum(columns * rows for _, columns, rows in matrices), 1))
    return [(kind, columns, max(64, int(rows * share) // 64 * 64)) for kind, columns, rows in matrices]


def _n_bytes(matrix: Matrix) -> int:
    kind, columns, rows = matrix
    row_size = symbols.function("ggml_row_size", c_int64, c_int, c_int64)
    return int(row_size(kind, columns)) * rows


class Device:
    """A device of ggml, and what of it computes. On the CPU `threads`, and whether weights are repacked."""

    def __init__(self, ggml: Ggml, device: c_void_p, *, threads: int = 0, repack: bool = False) -> None:
        self._ggml = ggml
        self._device = device
        self._backend = c_void_p(ggml.call("ggml_backend_dev_init", device, None))
        if not self._backend:
            raise EngineError("the device cannot be opened")
        types = weight_buffer_types(ggml, device)
        self._buffer_types = types if repack else types[-1:]
        if threads:
            registry = c_void_p(ggml.call("ggml_backend_dev_backend_reg", device))
            name = c_char_p(b"ggml_backend_set_n_threads")
            address = ggml.call("ggml_backend_reg_get_proc_address", registry, name)
            CFUNCTYPE(None, c_void_p, c_int)(address)(self._backend, threads)

    def check_products(self) -> None:
        """End the process if a product of known matrices comes out wrong."""
        for name, kind in QUANTIZED_TYPES.items():
            multiply(self._ggml, self._device, self._buffer_types[-1], name, kind)

    def seconds(self, matrices: Sequence[Matrix], n_tokens: int) -> float:
        """Seconds of the quickest of some products of all matrices with `n_tokens` columns, their weights in the first
        kind of buffer that allows them. Raises EngineError.
        """
        for buffer_type in self._buffer_types:
            found = self._seconds(matrices, n_tokens, buffer_type)
            if found is not None:
                return found
        raise EngineError("the device cannot multiply matrices of this type")

    def _seconds(self, matrices: Sequence[Matrix], n_tokens: int, buffer_type: c_void_p) -> float | None:
        ggml, freed = self._ggml, []
        try:
            weights, numbers = (c_void_p(ggml.call("ggml_init", InitParams(_GRAPH_BYTES, None, True))) for _ in "wn")
            freed += [("ggml_free", weights), ("ggml_free", numbers)]
            graph = c_void_p(ggml.call("ggml_new_graph", numbers))
            products = []
            for kind, columns, rows in matrices:
                matrix = c_void_p(self._tensor(weights, kind, columns, rows))
                column = c_void_p(self._tensor(numbers, GGML_TYPE_F32, columns, n_tokens))
                products.append(c_void_p(ggml.call("ggml_mul_mat", numbers, matrix, column)))
            freed.append(self._filled(ggml.call("ggml_backend_alloc_ctx_tensors_from_buft", weights, buffer_type)))
            if not all(self._supports(product) for product in products):
                return None
            for product in products:
                ggml.call("ggml_build_forward_expand", graph, product, returns=None)
            freed.append(self._filled(ggml.call("ggml_backend_alloc_ctx_tensors", numbers, self._backend)))
            return min(self._compute(graph) for _ in range(1 + _TRIES))
        finally:
            for function, pointer in reversed(freed):
                ggml.call(function, pointer, returns=None)

    def _supports(self, product: c_void_p) -> bool:
        return bool(self._ggml.call("ggml_backend_dev_supports_op", self._device, product, returns=c_bool))

    def _filled(self, buffer: int | None) -> tuple[str, c_void_p]:
        """Fill a buffer with zeros: what frees it. Raises EngineError if there is none."""
        if not buffer:
            raise EngineError("the device has too little memory for a layer")
        self._ggml.call("ggml_backend_buffer_clear", c_void_p(buffer), c_uint8(0), returns=None)
        return "ggml_backend_buffer_free", c_void_p(buffer)

    def _tensor(self, memory: c_void_p, kind: int, columns: int, rows: int) -> Any:
        return self._ggml.call("ggml_new_tensor_2d", memory, c_int(kind), c_int64(columns), c_int64(rows))

    def _compute(self, graph: c_void_p) -> float:
        started = time.perf_counter()
        status = self._ggml.call("ggml_backend_graph_compute", self._backend, graph, returns=c_int)
        if status != 0:
            raise EngineError(f"the device failed (status {status})")
        return time.perf_counter() - started


if __name__ == "__main__":
    answer_request(answer)
