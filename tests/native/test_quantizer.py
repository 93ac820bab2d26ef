"""Our table of types and our calls, held against the library."""

import ctypes
from pathlib import Path

import gguf
import numpy as np
import pytest

from seallm_edge.errors import EngineError
from seallm_edge.native.quantizer import TENSOR_TYPES, quantize, requantize_file, widen
from seallm_edge.native.symbols import function

CONVERTED = ["F32", "F16", "BF16", "Q4_0", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]


def floats(n: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(n).astype(np.float32)


@pytest.mark.parametrize("name", TENSOR_TYPES)
def test_blocks_are_as_the_library_has_them(name: str) -> None:
    kind = TENSOR_TYPES[name]
    row_size = function("ggml_row_size", ctypes.c_size_t, ctypes.c_int, ctypes.c_int64)
    block_size = function("ggml_blck_size", ctypes.c_int64, ctypes.c_int)
    type_name = function("ggml_type_name", ctypes.c_char_p, ctypes.c_int)
    assert block_size(kind.id) == kind.block
    assert row_size(kind.id, 4 * kind.block) == kind.row_bytes(4 * kind.block)
    assert type_name(kind.id).decode().upper() == name


@pytest.mark.parametrize("name", CONVERTED)
def test_quantized_rows_come_back_about_as_they_were(name: str) -> None:
    kind, rows = TENSOR_TYPES[name], floats(3 * 512)
    target = np.zeros(3 * kind.row_bytes(512), np.uint8)
    assert quantize(rows, kind, 512, target) == target.size
    back = gguf.quants.dequantize(target, gguf.GGMLQuantizationType(kind.id)).view(np.float32).ravel()
    assert np.abs(back - rows).max() < 0.3


@pytest.mark.parametrize(("dtype", "numpy_type"), [("F16", np.float16), ("BF16", None)])
def test_widening_is_exact(dtype: str, numpy_type: type | None) -> None:
    exact = floats(1000).astype(np.float16).astype(np.float32) if numpy_type else floats(1000)
    if numpy_type:
        raw = exact.astype(numpy_type).view(np.uint8)
    else:
        exact = (exact.view(np.uint32) & 0xFFFF0000).view(np.float32)
        raw = (exact.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    target = np.empty(1000, np.float32)
    widen(raw, dtype, target)
    assert np.array_equal(target, exact)


def test_rows_that_are_no_whole_number_of_blocks_never_reach_the_library() -> None:
    with pytest.raises(ValueError, match="do not fit Q4_K"):
        quantize(floats(320), TENSOR_TYPES["Q4_K"], 320, np.zeros(1000, np.uint8))


def test_a_target_that_is_too_small_never_reaches_the_library() -> None:
    with pytest.raises(ValueError, match="do not fit Q8_0"):
        quantize(floats(64), TENSOR_TYPES["Q8_0"], 64, np.zeros(67, np.uint8))


def test_a_scale_that_overflows_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EngineError, match="weights too large for Q8_0"):
        quantize(floats(64) * np.float32(1e9), TENSOR_TYPES["Q8_0"], 64, np.zeros(68, np.uint8))


def test_requantizing_what_is_no_model_is_an_error_with_llama_cpps_words(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"no model" * 100)
    with pytest.raises(EngineError, match=r"llama\.cpp cannot quantize bad\.gguf") as caught:
        requantize_file(tmp_path / "bad.gguf", tmp_path / "out.gguf", 2)
    assert caught.value.log_tail
    assert capfd.readouterr() == ("", "")
