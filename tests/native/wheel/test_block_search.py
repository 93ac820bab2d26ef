"""Quantized bytes are those of llama.cpp as it is published, though this build searches for block scales its own way.

The digests were made by an x86-64 build of llama.cpp 0c1e570 without block_search.h. Other processors round otherwise.
"""

import hashlib
import platform

import numpy as np
import pytest

from seallm_edge.gguf_file.types import TENSOR_TYPES
from seallm_edge.native.quantizer import quantize

pytestmark = pytest.mark.slow

N_PER_ROW = 1024
DIGESTS = {  # type: first half of the sha256 without importance, and with it
    "Q4_0": ("409087070c44fbea6cdbb86790814e9e", "2b13c6809682cfe6e5cc6fd39b49939b"),
    "Q4_1": ("3e7b294333dcd966c1b54bb20d1ee235", "25344240ec0c79b23508664c1980ec83"),
    "Q5_0": ("055743fef301d237df77ddd946175542", "238187d3e48586a8b74c23c1895a20d9"),
    "Q5_1": ("7a7ede92cccc3a9ec2e60b41f142514a", "3da9c438239422f81a74b171c711a22a"),
    "Q8_0": ("b14278c4197794faef518b53a2a30b67", "b14278c4197794faef518b53a2a30b67"),
    "Q2_K": ("c1615c7dfa4a2810b97c1a3538bf56b7", "d0122fc736c2b0c78af5451ee46c38e2"),
    "Q3_K": ("8c991997efe35a51aefd667f9361028c", "d3125249d96f1a61b64fcb6324a93855"),
    "Q4_K": ("df7eee795d27fa35301b155e2f99e251", "01c2f79c85ef7a76b3f33f7ce81b9ff7"),
    "Q5_K": ("cd103479bb6fd4bcdead5ee3a05421c4", "ffd905cb2da0a9a69f7fdadfc5919a90"),
    "Q6_K": ("6247c3cac0be1f0cfd956e01f0d05468", "ab4e76203044f072cc03c8cfa7a8a03e"),
    "IQ4_NL": ("c5ebcd98df7d4a587a452149f4835df5", "8c136756354678ac62bace4582b92b5d"),
    "IQ4_XS": ("189037ebffd08e279fa0a87c71795a0c", "5282675e7c1f9cba675d2f91de0c0bf5"),
}


def weights() -> np.ndarray:
    """Rows for every way through the search. Made of integers, so that they are the same everywhere."""
    bits = (np.arange(16 * N_PER_ROW, dtype=np.uint64) * 2654435761 >> 7) & 0xFFFFFF
    even = (bits.astype(np.int64) - 0x800000).astype(np.float32).reshape(16, N_PER_ROW) * np.float32(2**-23)
    size = np.abs(even)
    falling = np.ldexp(size, -(bits % 27).astype(np.int32).reshape(even.shape))
    kinds = [even, even * even * even, size, -size, falling, -falling, np.round(even * 2), even * 0]
    return np.concatenate([*kinds, -1 - size * np.float32(2**-20), even * np.float32(1e-20)])


def importance() -> np.ndarray:
    """Very uneven, with columns that do not matter."""
    column = np.arange(N_PER_ROW)
    return np.ldexp((column * 40503 % 97 % 13).astype(np.float32), (column * 7919 % 101 - 50).astype(np.int32))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the digests are of an x86-64 build")
@pytest.mark.parametrize("matters", [False, True], ids=["without importance", "with importance"])
@pytest.mark.parametrize("name", DIGESTS)
def test_blocks_have_the_bytes_of_published_llama_cpp(name: str, matters: bool) -> None:
    rows, kind = weights(), TENSOR_TYPES[name]
    target = np.zeros(rows.size // N_PER_ROW * kind.row_bytes(N_PER_ROW), np.uint8)
    quantize(rows, kind, N_PER_ROW, target, importance() if matters else None)
    assert hashlib.sha256(target).hexdigest()[:32] == DIGESTS[name][matters]
