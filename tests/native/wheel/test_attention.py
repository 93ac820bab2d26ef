"""Attention over a KV cache, by each CPU variant that runs here: right, and with the same bits in any company."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from seallm_edge.native import symbols
from seallm_edge.native.backends import load_backends
from tests.support.cpu_code import Floats, Ggml, Tensor, ggml, new_context, variants
from tests.support.quantized import NUMBERS

pytestmark = pytest.mark.slow

SHAPES = {  # head_dim, query heads, KV heads
    "SeaLLMs 1.5B": (128, 12, 2),
    "SeaLLMs 7B": (128, 28, 4),
    "SmolLM2 135M": (64, 9, 3),
    "Gemma 3 270M": (256, 4, 1),
    "no groups": (32, 5, 5),
    "one KV head": (96, 40, 1),
}


@dataclass(frozen=True)
class Cache:
    """Cells of a KV cache: of each its sequence and position (-1: empty); keys, values, shape (cells, heads, dim)."""

    sequences: NDArray[np.int32]
    positions: NDArray[np.int32]
    keys: Floats
    values: Floats
    kind: str = "F16"

    def sees(self, sequence: int, position: int, window: int) -> NDArray[np.bool_]:
        """Whether a token of a sequence sees each cell."""
        seen = (self.sequences == sequence) & (self.positions <= position)
        return seen & (self.positions > position - window)


@cache
def numbers_of(kind: str, shape: str, sequence: int, n: int, seed: int) -> Floats:
    """Keys or values of `n` positions of a sequence as the cache holds them, shape (n, heads, dim)."""
    head_dim, _, n_kv_heads = SHAPES[shape]
    draw = np.random.default_rng((seed, sequence))
    exact = draw.normal(0, 1, (n, n_kv_heads, head_dim)).astype(np.float32)
    exact[:, :, 3] *= 30  # keys of Qwen2 have a few dimensions like this
    return unpacked(kind, packed(kind, exact), exact.shape)


def packed(kind: str, numbers: Floats) -> bytes:
    if kind == "F16":
        return numbers.astype(np.float16).tobytes()
    to = np.zeros(symbols.function("ggml_row_size", ctypes.c_size_t, ctypes.c_int, ctypes.c_int64)(
        NUMBERS[kind], numbers.size), np.uint8)  # fmt: skip
    quantize = symbols.function(
        "ggml_quantize_chunk", ctypes.c_size_t, ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3,
        ctypes.c_void_p,
    )  # fmt: skip
    rows = np.ascontiguousarray(numbers)
    quantize(NUMBERS[kind], rows.ctypes.data, to.ctypes.data, 0, rows.size // rows.shape[-1], rows.shape[-1], None)
    return to.tobytes()


def unpacked(kind: str, data: bytes, shape: tuple[int, ...]) -> Floats:
    if kind == "F16":
        return np.frombuffer(data, np.float16).reshape(shape).astype(np.float32)
    to, one = np.zeros(shape, np.float32), {"Q8_0": "dequantize_row_q8_0", "Q4_0": "dequantize_row_q4_0"}[kind]
    symbols.function(one, None, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64)(data, to.ctypes.data, to.size)
    return to


def cache_of(shape: str, lengths: dict[int, int], kind: str = "F16", *, seed: int | None = None) -> Cache:
    """Sequences of these lengths, one after the other; with a seed in cells anywhere."""
    head_dim, _, n_kv_heads = SHAPES[shape]
    n_cells = -(-sum(lengths.values()) // 256) * 256
    cells = np.arange(n_cells) if seed is None else np.random.default_rng(seed).permutation(n_cells)
    sequences, positions = np.full(n_cells, -1, np.int32), np.full(n_cells, -1, np.int32)
    keys, values = (np.full((n_cells, n_kv_heads, head_dim), 7, np.float32) for _ in range(2))
    for sequence, length in lengths.items():
        mine, cells = cells[:length], cells[length:]
        sequences[mine], positions[mine] = sequence, np.arange(length)
        keys[mine] = numbers_of(kind, shape, sequence, 2048, 1)[:length]
        values[mine] = numbers_of(kind, shape, sequence, 2048, 2)[:length]
    return Cache(sequences, positions, keys, values, kind)


@cache
def query_of(shape: str, sequence: int, position: int) -> Floats:
    head_dim, n_heads, _ = SHAPES[shape]
    return np.random.default_rng((3, sequence, position)).normal(0, 0.5, (n_heads, head_dim)).astype(np.float32)


Tokens = list[tuple[int, int]]  # sequence and position of each


def attention(
    library: Ggml, shape: str, cells: Cache, tokens: Tokens, n_threads: int = 2, *, window: int = 1 << 30,
    with_positions: bool = True,
) -> Floats:  # fmt: skip
    """Of each token, shape (tokens, heads, head_dim)."""
    head_dim, n_heads, n_kv_heads = SHAPES[shape]
    mask = np.where([cells.sees(*token, window) for token in tokens], np.float16(0), np.float16(-np.inf))
    context = new_context(ctypes.c_size_t(192 << 20), None)
    new = symbols.function("ggml_new_tensor_4d", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, *[ctypes.c_int64] * 4)
    permute = symbols.function("ggml_permute", ctypes.c_void_p, *[ctypes.c_void_p] * 2, *[ctypes.c_int] * 4)

    def tensor(kind: str, data: bytes, *sizes: int) -> int:
        made = new(context, NUMBERS[kind], *sizes)
        ctypes.memmove(library.base["ggml_get_data"](made), data, len(data))
        return made

    try:
        rows = np.stack([query_of(shape, *token) for token in tokens])
        q = permute(context, tensor("F32", rows.tobytes(), head_dim, n_heads, len(tokens), 1), 0, 2, 1, 3)
        k, v = (
            permute(context, tensor(cells.kind, packed(cells.kind, x), head_dim, n_kv_heads, len(x), 1), 0, 2, 1, 3)
            for x in (cells.keys, cells.values)
        )
        masks = tensor("F16", mask.tobytes(), len(cells.positions), len(tokens), 1, 1)
        if with_positions:
            Tensor.from_address(masks).extra = cells.positions.ctypes.data
        attend = symbols.function("ggml_flash_attn_ext", ctypes.c_void_p, *[ctypes.c_void_p] * 5, *[ctypes.c_float] * 3)
        result = attend(context, q, k, v, masks, head_dim**-0.5, 0.0, 0.0)
        graph = library.base["ggml_new_graph"](context)
        symbols.function("ggml_build_forward_expand", None, ctypes.c_void_p, ctypes.c_void_p)(graph, result)
        assert library.cpu.ggml_graph_compute_with_ctx(context, graph, n_threads) == 0
        data = ctypes.string_at(library.base["ggml_get_data"](result), 4 * head_dim * n_heads * len(tokens))
        return np.frombuffer(data, np.float32).reshape(len(tokens), n_heads, head_dim)
    finally:
        symbols.function("ggml_free", None, ctypes.c_void_p)(context)


def expected(shape: str, cells: Cache, tokens: Tokens, window: int = 1 << 30) -> NDArray[np.float64]:
    head_dim, n_heads, n_kv_heads = SHAPES[shape]
    group = n_heads // n_kv_heads
    out = np.zeros((len(tokens), n_heads, head_dim))
    for i, token in enumerate(tokens):
        seen = cells.sees(*token, window)
        query = query_of(shape, *token).astype(np.float64).reshape(n_kv_heads, group, head_dim)
        scores = np.einsum("hgd,chd->hgc", query, cells.keys[seen]) * head_dim**-0.5
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        out[i] = np.einsum("hgc,chd->hgd", weights, cells.values[seen]).reshape(n_heads, head_dim)
    return out


def check(found: Floats, right: NDArray[np.float64]) -> None:
    assert np.abs(found - right).max() < 2e-5 * np.abs(right).max()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("variant", sorted(variants()))
def test_attention_is_right(variant: str, shape: str) -> None:
    cells = cache_of(shape, {0: 700})
    for tokens in ([(0, 699)], [(0, 0)], [(0, n) for n in range(127, 131)], [(0, n) for n in range(600, 700)]):
        check(attention(ggml(variant), shape, cells, tokens), expected(shape, cells, tokens))


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q4_0"])
@pytest.mark.parametrize("variant", sorted(variants()))
def test_a_token_has_the_same_bits_in_any_company(variant: str, kind: str) -> None:
    """Alone in a cache; beside other sequences, in cells in any order, in a prompt, with any number of threads."""
    library, shape = ggml(variant), "SeaLLMs 1.5B"
    alone = cache_of(shape, {0: 300}, kind)
    prompt: Tokens = [(0, n) for n in range(300)]
    each = [attention(library, shape, alone, [token])[0] for token in prompt]
    check(np.stack(each), expected(shape, alone, prompt))
    company = {1: 77, 0: 300, 2: 500, 3: 1}
    for seed in (None, 1, 2):
        cells = cache_of(shape, company, kind, seed=seed)
        for n_threads, tokens in (
            (2, prompt), (3, prompt[250:]), (1, prompt[:9]), (5, [(0, 299)]), (7, [(1, 76), (0, 299), (2, 499)]),
            (2, [(2, 498), (2, 499), (0, 298), (0, 299), (1, 76), (3, 0)]), (4, [(0, 3), (0, 200), (0, 100)]),
        ):  # fmt: skip
            found = attention(library, shape, cells, tokens, n_threads)
            for (sequence, position), result in zip(tokens, found, strict=True):
                if sequence == 0:
                    assert (result == each[position]).all(), f"position {position}, {n_threads} threads, seed {seed}"
            check(found, expected(shape, cells, tokens))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n_threads", [1, 2, 3, 4, 8])
def test_the_number_of_threads_changes_no_bit(n_threads: int, shape: str) -> None:
    library, cells = ggml(load_backends().variant), cache_of(shape, {0: 500})
    for tokens in ([(0, 499)], [(0, n) for n in range(490, 500)], [(0, n) for n in range(300, 500)]):
        alone = attention(library, shape, cells, tokens, 1)
        assert (attention(library, shape, cells, tokens, n_threads) == alone).all()


@pytest.mark.parametrize("variant", sorted(variants()))
def test_a_sliding_window_hides_what_lies_behind(variant: str) -> None:
    shape, tokens = "Gemma 3 270M", [(0, n) for n in range(380, 600)]
    cells = cache_of(shape, {0: 600, 1: 20}, seed=4)
    found = attention(ggml(variant), shape, cells, tokens, window=200)
    check(found, expected(shape, cells, tokens, 200))
    assert (attention(ggml(variant), shape, cells, tokens[-1:], window=200)[0] == found[-1]).all()


def test_positions_that_lie_far_apart_or_meet_are_attended_to_as_well() -> None:
    """As of a sequence whose middle was removed, or of parts of a picture: then cells decide the order."""
    library, shape = ggml(load_backends().variant), "SmolLM2 135M"
    cells = cache_of(shape, {0: 300})
    far = Cache(cells.sequences, np.where(cells.positions > 9, cells.positions + 5000, cells.positions), cells.keys,
                cells.values)  # fmt: skip
    meeting = Cache(cells.sequences, np.where(cells.positions > 9, cells.positions // 2, cells.positions), cells.keys,
                    cells.values)  # fmt: skip
    for odd, last in ((far, 5299), (meeting, 149)):
        check(attention(library, shape, odd, [(0, last), (0, last)]), expected(shape, odd, [(0, last), (0, last)]))


def test_a_token_that_sees_nothing_gets_zeros() -> None:
    library, shape = ggml(load_backends().variant), "SmolLM2 135M"
    found = attention(library, shape, cache_of(shape, {0: 300}), [(0, 299), (8, 0)])
    assert found[0].any()
    assert not found[1].any()


def test_masks_without_positions_stay_with_ggml() -> None:
    """It sums values up in 16-bit floats."""
    library, shape = ggml(load_backends().variant), "SmolLM2 135M"
    cells = cache_of(shape, {0: 300})
    found = attention(library, shape, cells, [(0, 299)], with_positions=False)
    right = expected(shape, cells, [(0, 299)])
    assert 2e-5 < np.abs(found - right).max() / np.abs(right).max() < 1e-2
