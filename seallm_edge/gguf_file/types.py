"""GGUF's value types, tensor types and file types: their numbers and names.

ref: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, enums ggml_type and llama_ftype of llama.cpp
"""

from __future__ import annotations

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
# Q8_1 and Q8_K exist only during a computation, not in files.
TENSOR_TYPES = {  # ggml type: name, elements in a block, bytes of a block
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
    42: ("Q2_0", 64, 18),
}
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


def padded(size: int, alignment: int = ALIGNMENT) -> int:
    """Size in bytes, rounded up to a multiple of the alignment."""
    return -(-size // alignment) * alignment
