"""GGUF's value types, tensor types and file types: their numbers and names.

ref: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, enums ggml_type and llama_ftype of llama.cpp
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

MAGIC = b"GGUF"
VERSION = 3
READ_VERSIONS = (2, VERSION)
ALIGNMENT = 32  # bytes; also ggml's minimum for a mapped buffer
QUANTIZATION_VERSION = 2  # ref: ggml.h `GGML_QNT_VERSION`

UINT8, INT8, UINT16, INT16, UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64, INT64, FLOAT64 = range(13)
NUMBERS = {  # value type: name, struct format
    UINT8: ("uint8", "B"),
    INT8: ("int8", "b"),
    UINT16: ("uint16", "H"),
    INT16: ("int16", "h"),
    UINT32: ("uint32", "I"),
    INT32: ("int32", "i"),
    FLOAT32: ("float32", "f"),
    BOOL: ("bool", "?"),
    UINT64: ("uint64", "Q"),
    INT64: ("int64", "q"),
    FLOAT64: ("float64", "d"),
}
VALUE_TYPES = {kind: name for kind, (name, _) in NUMBERS.items()} | {STRING: "string", ARRAY: "array"}


@dataclass(frozen=True)
class TensorType:
    """One of ggml's ways to store weights: `n_bytes` for every `block` weights of a row."""

    name: str
    id: int
    block: int
    n_bytes: int

    def divides(self, n_per_row: int) -> bool:
        """Whether a row of `n_per_row` weights is a whole number of blocks."""
        return n_per_row % self.block == 0

    def row_bytes(self, n_per_row: int) -> int:
        """Bytes of a row of `n_per_row` weights."""
        return n_per_row // self.block * self.n_bytes


# Q8_1 and Q8_K exist only during a computation, not in files.
TENSOR_TYPES = {
    type_.name: type_
    for type_ in (
        TensorType("F32", 0, 1, 4),
        TensorType("F16", 1, 1, 2),
        TensorType("Q4_0", 2, 32, 18),
        TensorType("Q4_1", 3, 32, 20),
        TensorType("Q5_0", 6, 32, 22),
        TensorType("Q5_1", 7, 32, 24),
        TensorType("Q8_0", 8, 32, 34),
        TensorType("Q2_K", 10, 256, 84),
        TensorType("Q3_K", 11, 256, 110),
        TensorType("Q4_K", 12, 256, 144),
        TensorType("Q5_K", 13, 256, 176),
        TensorType("Q6_K", 14, 256, 210),
        TensorType("IQ2_XXS", 16, 256, 66),
        TensorType("IQ2_XS", 17, 256, 74),
        TensorType("IQ3_XXS", 18, 256, 98),
        TensorType("IQ1_S", 19, 256, 50),
        TensorType("IQ4_NL", 20, 32, 18),
        TensorType("IQ3_S", 21, 256, 110),
        TensorType("IQ2_S", 22, 256, 82),
        TensorType("IQ4_XS", 23, 256, 136),
        TensorType("I8", 24, 1, 1),
        TensorType("I16", 25, 1, 2),
        TensorType("I32", 26, 1, 4),
        TensorType("I64", 27, 1, 8),
        TensorType("F64", 28, 1, 8),
        TensorType("IQ1_M", 29, 256, 56),
        TensorType("BF16", 30, 1, 2),
        TensorType("TQ1_0", 34, 256, 54),
        TensorType("TQ2_0", 35, 256, 66),
        TensorType("MXFP4", 39, 32, 17),
        TensorType("NVFP4", 40, 64, 36),
        TensorType("Q1_0", 41, 128, 18),
        TensorType("Q2_0", 42, 64, 18),
    )
}
TENSOR_TYPES_BY_ID = {type_.id: type_ for type_ in TENSOR_TYPES.values()}
NO_WEIGHTS = ("I8", "I16", "I32", "I64", "F64")  # ggml neither multiplies with these nor makes them from f32
FILE_TYPES = {  # general.file_type: name
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4_MOE",
    39: "NVFP4",
    40: "Q1_0",
    41: "Q2_0",
}


def type_in(stem: str) -> str:
    """Type that the end of a file's name states, such as "Q4_K_M" of "model-q4_k_m"; "" if none."""
    tail = stem.upper().replace("-", ".").rsplit(".", 1)[-1]
    return tail if tail in FILE_TYPES.values() else ""


def padded(size: int, alignment: int = ALIGNMENT) -> int:
    """Size in bytes, rounded up to a multiple of the alignment."""
    return -(-size // alignment) * alignment


def totals(tensors: Iterable[tuple[str, int]]) -> dict[str, tuple[int, int]]:
    """{tensor type: (number of tensors, their bytes)}, most bytes first, of the type and bytes of each tensor."""
    counts, sizes = Counter[str](), Counter[str]()
    for type_name, n_bytes in tensors:
        counts[type_name] += 1
        sizes[type_name] += n_bytes
    return {name: (counts[name], n_bytes) for name, n_bytes in sizes.most_common()}
