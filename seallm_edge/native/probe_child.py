"""Runs in a child process: try CPU backends where a crash hurts nobody. Standard library only.

    probe_child.py score  LIBLLAMA BACKEND...   prints "PATH<TAB>SCORE" a line, as soon as each is known, with the
                                                problem in place of the score of one that cannot be loaded
    probe_child.py try    LIBLLAMA BACKEND...   loads the backends (none: those linked in), multiplies matrices of
                                                every kind of weight buffer on the CPU, prints "ok"

Scores come from the backends' own `ggml_backend_score()`, 0 for a CPU that cannot run them. A build with one CPU
backend has none there: it scores as the least of those that can run, and its trial tells. A product is tried for the
buffers that repack weights too: those are where miscompiled kernels crash.
"""

from __future__ import annotations

import ctypes
import math
import sys
from ctypes import c_char_p, c_float, c_int, c_int64, c_size_t, c_void_p
from typing import Any

# ref: ggml/include/ggml.h and ggml-backend.h
GGML_TYPE_F32 = 0
QUANTIZED_TYPES = {"q4_0": 2, "q8_0": 8, "q4_K": 12}
DEVICE_TYPE_CPU = 0
LOWEST_SCORE = 1
N_COLUMNS, N_ROWS, N_TOKENS = 512, 128, 16
ROW_BYTES = {"q4_0": N_COLUMNS // 32 * 18, "q8_0": N_COLUMNS // 32 * 34, "q4_K": N_COLUMNS // 256 * 144}
SCRATCH_BYTES = 1 << 20
TOLERANCE = 0.05


class InitParams(ctypes.Structure):
    """struct ggml_init_params."""

    _fields_ = [("mem_size", c_size_t), ("mem_buffer", c_void_p), ("no_alloc", ctypes.c_bool)]


class Ggml:
    """ggml's functions, looked up through libllama's handle; a plain name returns a pointer."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def call(self, name: str, *arguments: Any, returns: Any = c_void_p) -> Any:
        """What ggml's function `name` returns, taken as the C type `returns`."""
        function = self.library[name]
        function.restype = returns
        return function(*arguments)


def main(verb: str, libllama: str, *backends: str) -> None:
    """Do what `verb` says; any failure ends the process with a message or by its own signal."""
    library = ctypes.CDLL(libllama)
    if verb == "score":
        for path in backends:
            print(f"{path}\t{score(path)}", flush=True)
        return
    ggml = Ggml(library)
    for path in backends:
        if not ggml.call("ggml_backend_load", c_char_p(path.encode())):
            sys.exit(f"{path} cannot be loaded")
    device = ggml.call("ggml_backend_dev_by_type", c_int(DEVICE_TYPE_CPU))
    if not device:
        sys.exit("no CPU backend")
    for buffer_type in weight_buffer_types(ggml, c_void_p(device)):
        for name, type_id in QUANTIZED_TYPES.items():
            multiply(ggml, c_void_p(device), buffer_type, name, type_id)
    print("ok")


def score(path: str) -> int | str:
    """What a backend says of its fitness for this CPU, 0 is unfit; or why it cannot be loaded."""
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        return f"it cannot be loaded: {' '.join(str(error).removeprefix(f'{path}: ').split())}"
    function = getattr(library, "ggml_backend_score", None)
    if function is None:
        return LOWEST_SCORE
    function.restype = c_int
    return max(int(function()), 0)


def weight_buffer_types(ggml: Ggml, device: c_void_p) -> list[c_void_p]:
    """The buffer types that weights may be put in on this device: repacking ones, then the plain one."""
    registry = c_void_p(ggml.call("ggml_backend_dev_backend_reg", device))
    found = []
    name = c_char_p(b"ggml_backend_dev_get_extra_bufts")
    if address := ggml.call("ggml_backend_reg_get_proc_address", registry, name):
        extras = ctypes.CFUNCTYPE(ctypes.POINTER(c_void_p), c_void_p)(address)(device)
        index = 0
        while extras and extras[index]:
            found.append(c_void_p(extras[index]))
            index += 1
    return [*found, c_void_p(ggml.call("ggml_backend_dev_buffer_type", device))]


def multiply(ggml: Ggml, device: c_void_p, buffer_type: c_void_p, type_name: str, type_id: int) -> None:
    """Multiply 16 columns of numbers by a quantized matrix of known sum; exit if the product is wrong."""
    weights, graph_memory = (c_void_p(ggml.call("ggml_init", InitParams(SCRATCH_BYTES, None, True))) for _ in range(2))
    shape = (c_int64(N_COLUMNS), c_int64(N_ROWS))
    matrix = c_void_p(ggml.call("ggml_new_tensor_2d", weights, c_int(type_id), *shape))
    shape = (c_int64(N_COLUMNS), c_int64(N_TOKENS))
    numbers = c_void_p(ggml.call("ggml_new_tensor_2d", graph_memory, c_int(GGML_TYPE_F32), *shape))
    product = c_void_p(ggml.call("ggml_mul_mat", graph_memory, matrix, numbers))
    buffer = ggml.call("ggml_backend_alloc_ctx_tensors_from_buft", weights, buffer_type)
    supported = ggml.call("ggml_backend_dev_supports_op", device, product, returns=ctypes.c_bool)
    if buffer and supported:
        backend = c_void_p(ggml.call("ggml_backend_dev_init", device, None))
        ggml.call("ggml_backend_alloc_ctx_tensors", graph_memory, backend)
        fill(ggml, matrix, numbers, type_name, type_id)
        graph = c_void_p(ggml.call("ggml_new_graph", graph_memory))
        ggml.call("ggml_build_forward_expand", graph, product, returns=None)
        status = ggml.call("ggml_backend_graph_compute", backend, graph, returns=c_int)
        result = (c_float * (N_ROWS * N_TOKENS))()
        ggml.call(
            "ggml_backend_tensor_get", product, result, c_size_t(0), c_size_t(ctypes.sizeof(result)), returns=None
        )
        # a row of weights cos(0), cos(1), … times itself, both in [-1, 1]
        expected = sum(math.cos(i) ** 2 for i in range(N_COLUMNS))
        if status != 0 or not all(abs(value / expected - 1) < TOLERANCE for value in result):
            sys.exit(f"a {type_name} product came out wrong (status {status}, {result[0]} for {expected})")
        ggml.call("ggml_backend_free", backend, returns=None)
    ggml.call("ggml_free", weights, returns=None)
    ggml.call("ggml_free", graph_memory, returns=None)


def fill(ggml: Ggml, matrix: c_void_p, numbers: c_void_p, type_name: str, type_id: int) -> None:
    """Every row of both matrices becomes cos(0), cos(1), …; the weights quantized."""
    row = [math.cos(i) for i in range(N_COLUMNS)]
    source = (c_float * (N_COLUMNS * N_ROWS))(*(row * N_ROWS))
    quantized = ctypes.create_string_buffer(ROW_BYTES[type_name] * N_ROWS)
    counts = (c_int64(0), c_int64(N_ROWS), c_int64(N_COLUMNS))
    ggml.call("ggml_quantize_chunk", c_int(type_id), source, quantized, *counts, None, returns=c_size_t)
    n_bytes = c_size_t(len(quantized))
    ggml.call("ggml_backend_tensor_set", matrix, quantized, c_size_t(0), n_bytes, returns=None)
    n_bytes = c_size_t(N_COLUMNS * N_TOKENS * 4)
    ggml.call("ggml_backend_tensor_set", numbers, source, c_size_t(0), n_bytes, returns=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
